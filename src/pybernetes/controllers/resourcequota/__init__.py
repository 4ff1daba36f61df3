"""Counts quotas anew; what counts is in `pybernetes.api.quota`, which admission asks, too."""
