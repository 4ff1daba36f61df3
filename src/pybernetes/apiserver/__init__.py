"""kube-apiserver: the registry of all kinds on the store, and what stands before it.

Here: request handling, authentication, authorization, admission, registry, watch cache, discovery, OpenAPI, tables.
Not here: anything that watches the API in order to act (controllers), and any other use of the store.
"""
