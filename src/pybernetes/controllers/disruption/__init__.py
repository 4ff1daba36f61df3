"""Budgets of disruption (upstream: pkg/controller/disruption).

`plan` counts; `controller` finds out whose pods they are, and writes what the API server's eviction obeys.
"""
