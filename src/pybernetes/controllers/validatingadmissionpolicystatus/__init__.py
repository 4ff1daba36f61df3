"""Tells in the status of validating admission policies where their expressions do not fit the types that they look at.

`plan` says which types those are and checks; `controller` fetches their schemas and writes the status.
"""
