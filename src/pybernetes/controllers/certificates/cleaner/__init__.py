"""Deletes old requests: `plan` knows which are."""
