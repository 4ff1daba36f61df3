"""Looking after the etcd of a cluster: its members, their health, snapshots, and a member's data made of one.

`health.py` decides and is pure; `access.py`, `asking.py` and `snapshots.py` call members and touch files. A member's
file (bbolt) is etcd's own to write: restoring is done by etcd's tools, etcdutl or etcdctl.
"""
