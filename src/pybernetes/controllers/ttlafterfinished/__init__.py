"""Deletes finished jobs: `plan` says when."""
