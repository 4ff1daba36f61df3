"""The host's network: links, addresses and routes over netlink, iptables, and the address that the world sees.

Only what the kernel is asked, in its own words: which bridge, which rules and which names there should be is decided by the parts.
Errors are LinkError and ProgramError, whose texts are the kernel's or the program's. pyroute2 is loaded at the first use.
"""
