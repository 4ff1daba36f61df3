"""The mode userspace: connections are led to ports of this process, which copies them to endpoints it has chosen.

`rules` says which iptables rules lead there and how the kernel is brought to them, `balancer` who is next (both decide purely),
`ports` hands out local ports, `tcp` and `udp` copy, `backend` does it. Upstream's default until 1.1, and gone since 1.26: it needs
of the kernel only REDIRECT and DNAT, tries another endpoint where one does not answer, and endpoints see this node's address.
"""

from .backend import UserspaceMode

MODE = UserspaceMode()
