"""The pod network: bridge, veth and address per pod, masquerade, host ports (upstream: CNI's bridge, host-local and portmap plugins).

`addresses` and `rules` decide (pure but for the address files), `links` speaks netlink, `bridge` is what pods' workers use.
"""
