"""The pods' network by chains of CNI plugins (upstream: containernetworking/cni's libcni, and dockershim/network/cni, today cri-dockerd's).

`configuration` reads what administrators write, `arguments` says what a plugin is told of a pod, `results` what it answers (all pure).
`invocation` runs one plugin, `cache` remembers what it did to whom, `chain` has all plugins of a network do one command, and
`network` is what pods' workers use.
"""
