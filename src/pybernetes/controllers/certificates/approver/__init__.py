"""Approves client certificates of nodes: `plan` recognizes who asks, `controller` asks whether he may."""
