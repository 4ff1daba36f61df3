"""Keeps from deletion what is used (upstream: pkg/controller/volume/pvcprotection and its kin).

`plan` says which finalizers there should be, for claims, volumes and attribute classes.
"""
