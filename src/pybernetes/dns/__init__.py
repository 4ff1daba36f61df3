"""Cluster DNS: a server that reads CoreDNS's Corefile, with the plugins that clusters use.

`wire` is the codec, `corefile` the parser, `plugins` has one module a plugin (`plugins.ORDER` is the chain), `records` says what the
Kubernetes DNS specification answers (pure), `directory` keeps the cluster's objects for it, `server` speaks UDP and TCP, `app` runs all.
"""
