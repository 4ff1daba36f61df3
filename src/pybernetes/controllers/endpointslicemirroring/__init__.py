"""Slices of Endpoints that somebody wrote by hand: `plan` copies, `endpointslice/slices` packs."""
