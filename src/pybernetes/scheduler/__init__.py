"""kube-scheduler: one module a plug-in, and the profiles that run them over all nodes at once.

What decides is in four folders, each of which imports only those before it: `model` (pods, and nodes as columns), `framework` (what a
plug-in is, which pod is next), `plugins`, `profiles` (a configured row of plug-ins, and how it chooses). They are pure, which the import
contracts check: time and the choice among equals are parameters. The files beside them act: `app` listens, tries and tells, `binder`,
`evictions` and `statuspatches` write. The cluster is known only through `pybernetes.client`.
"""
