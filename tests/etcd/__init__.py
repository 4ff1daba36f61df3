"""The store in a real etcd, and API servers on it (Debian's etcd-server)."""
