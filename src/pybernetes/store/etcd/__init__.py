"""The store in etcd v3 (3.4 and later), over its gRPC API.

`http2` and `channel` are gRPC's transport as far as etcd needs it, `messages` its requests and answers, `store` the backend; `cluster` and
`maintenance` are for who looks after its members. Nothing here knows Kubernetes: keys and values are the caller's.
"""
