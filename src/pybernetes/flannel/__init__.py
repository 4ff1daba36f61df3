"""flanneld: a network for pods over several hosts, each with a subnet of its own (upstream: flannel-io/flannel).

`config`, `lease` and `annotations` read what the cluster says, `backends` say what the kernel is to hold for another host's lease and
`rules` which iptables rules, all purely; `network` and `traffic` bring the kernel there, `subnetmanager` speaks to the API server,
`etcdmanager` to etcd, `app` is the order of it all.
"""
