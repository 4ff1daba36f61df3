"""The mode ipvs: the kernel's IP Virtual Server sends to endpoints; ipsets and a few iptables rules do the rest.

`sets` are the ipsets, `rules` says what a Service port wants, `ruleset` what all of them want and what changes between two states,
`legacy` what the mode has in common with the mode iptables (all decide purely); `backend` does it.
"""

from .backend import IPVSMode

MODE = IPVSMode()
