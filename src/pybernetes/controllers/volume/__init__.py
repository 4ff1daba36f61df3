"""Volumes and claims (upstream: pkg/controller/volume): a room for each controller."""
