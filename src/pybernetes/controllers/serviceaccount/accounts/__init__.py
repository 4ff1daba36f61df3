"""Keeps the service account `default` in each namespace."""
