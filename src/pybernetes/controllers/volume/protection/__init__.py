"""Keeps from deletion what is used: `plan` says which finalizers there should be, for claims, volumes and attribute classes."""
