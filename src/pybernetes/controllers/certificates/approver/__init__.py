"""Approves client certificates of nodes: `plan` recognizes who asks, `controller` asks whether they may."""
