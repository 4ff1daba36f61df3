"""Storage of all resources alike: the watch cache over the store, and the verbs on top of it (upstream: registry/generic, cacher)."""
