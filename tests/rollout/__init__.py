"""`pybernetes deploy` over Debian's sshd, on hosts that are namespaces."""
