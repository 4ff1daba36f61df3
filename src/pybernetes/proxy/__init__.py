"""kube-proxy: what Services and EndpointSlices ask of the kernel (pure), and the appliers that bring it there.

`model` reads the objects, `rules` says which iptables rules should be, `iptables` changes only what differs, `app` keeps it so.
"""
