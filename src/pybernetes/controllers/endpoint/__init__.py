"""Endpoints of services: `plan` makes the subsets of a service's pods."""
