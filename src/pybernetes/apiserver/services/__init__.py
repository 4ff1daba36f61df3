"""What Services get from the cluster: addresses, IP families, node ports; and the Service by which pods find the API server.

`families`, `ranges`, `records`, `repair` and `kubernetes` decide and are pure; `assign`, `given`, `pool`, `allocator` and `keeper` do.
The kind itself is `kinds/core/service.py`.
"""
