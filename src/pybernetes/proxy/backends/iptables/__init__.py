"""The mode iptables: `rules` says which should be, `tables` brings the kernel there by difference (both decide purely), `backend` does it."""

from .backend import IPTablesMode

MODE = IPTablesMode()
