"""Cluster roles that are made of others: `plan` collects the rules."""
