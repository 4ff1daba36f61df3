"""Budgets of disruption: `plan` counts, `controller` finds out for whom and writes what the API server's eviction obeys."""
