"""What the scheduler knows of pods and nodes (upstream: pkg/scheduler/backend/cache, framework.NodeInfo and PodInfo).

`table` holds the nodes as columns (`arrays`: numpy's, or lists), of `labelcolumns` and `podcounts` among others; `pods`, `requests` and
`selectors` are a pod in the same terms; `nodematch` asks what several plug-ins ask. Nothing here knows what a plug-in is. Pure.
"""
