"""kube-scheduler: one module a plugin, and the framework that runs them over all nodes at once.

`table` holds the nodes as numpy columns, `framework` runs a profile's plugins and decides, `queue` says which pod is next; all of them are
pure: time and the choice among equals are parameters. `app` is the shell that listens, binds and tells. The cluster is known only
through `pybernetes.client`.
"""
