"""Stands in for pytest-kind in suites that ask it for a cluster."""
