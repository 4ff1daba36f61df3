"""Deletes pods that nobody else will: `plan` knows which."""
