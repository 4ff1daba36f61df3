"""docs/by-hand.md as it stands there: its commands on hosts that are namespaces, its outputs compared with what came."""
