"""Attachments for CSI drivers: `plan` compares what pods need with what is attached."""
