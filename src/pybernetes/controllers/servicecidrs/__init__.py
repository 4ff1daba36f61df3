"""Ranges of service addresses: `plan` says whether one may go."""
