"""Certificate signing requests, and the CA that pods know (upstream: pkg/controller/certificates).

`requests` parses them and knows the rules of kubernetes.io's signers; `controller` is what `approver` and `signer` are made of.
`cleaner` and `rootcacertpublisher` stand for themselves.
"""
