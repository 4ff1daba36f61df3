"""kube-network-policies: what NetworkPolicies ask of the kernel of a node, by nftables (upstream: kubernetes-sigs/kube-network-policies).

`policy` reads a NetworkPolicy and `pod` a Pod, `isolation` knows which pods of this node are isolated and who may reach whom, `rules` and
`table` say it in nftables' words, all purely; `app` listens and brings the kernel there.
"""
