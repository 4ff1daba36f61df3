"""The machine that a kubelet runs on (upstream: kubelet_node_status.go, pkg/kubelet/{cm,eviction,nodelease,stats}).

`host` reads what it has, `keeper` registers the Node and keeps its status and lease, `resources` looks after memory and disk,
`cgroups` are what pods run in, `usage` reads what is used, `health` says whether the kubelet still goes round.
"""
