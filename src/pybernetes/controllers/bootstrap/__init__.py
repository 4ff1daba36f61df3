"""Bootstrap tokens (upstream: pkg/controller/bootstrap).

`tokens` reads the secrets and signs; two controllers use it, `signer` and `tokencleaner`.
"""
