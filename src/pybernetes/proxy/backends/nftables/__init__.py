"""The mode nftables: a table of our own, `ip kube-proxy` and `ip6 kube-proxy`, changed by transactions of the program nft.

`rules` says what a Service port wants, `ruleset` which commands bring the kernel there (both decide purely), `listing` reads what the
kernel holds, `backend` does it.
"""

from .backend import NFTablesMode

MODE = NFTablesMode()
