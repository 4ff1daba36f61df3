"""The revisioned key-value log under the API server: its interface and its backends.

Only the API server uses it. Every backend passes the one suite in tests/unit/store.
"""
