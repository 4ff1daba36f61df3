"""Tests against a Docker engine, as root; skipped with the reason where there is none (see conftest.py)."""
