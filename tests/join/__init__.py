"""A cluster of several hosts by one command on each: init, join and reset on hosts that are namespaces, with real etcd, nginx, keepalived."""
