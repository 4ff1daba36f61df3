"""What one may: the authorizers RBAC, Node, AlwaysAllow, AlwaysDeny (`modes.py` has their chain), and the roles a cluster begins with."""
