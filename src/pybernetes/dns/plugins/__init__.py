"""The plugins, one module each, and the chain in its order (upstream: plugin.cfg)."""

# A query passes from the first to the last that a server block names, whatever their order in the Corefile.
ORDER = (
    "reload",
    "bind",
    "ready",
    "health",
    "prometheus",
    "errors",
    "log",
    "loadbalance",
    "cache",
    "rewrite",
    "hosts",
    "kubernetes",
    "loop",
    "forward",
)
