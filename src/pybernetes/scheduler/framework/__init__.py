"""What plug-ins and those who run them have in common (upstream: kube-scheduler/framework, pkg/scheduler/backend/queue).

`interface` says what a plug-in may answer, `clusterevents` what wakes the pods that it refused, `diagnosis` why no node took one. `queue`,
`nominator` and `permits` keep pods that wait: for their turn, for room, for leave to be bound. `volumes` and `defaultselector` are what
several plug-ins ask of the cluster, `conditions` what is written of the answer. Pure: `now` and the dice are the caller's.
"""
