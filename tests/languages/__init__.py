"""Clients of other languages, from their registries: skipped with the reason where language or registry is not there."""
