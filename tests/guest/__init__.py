"""Tests that want a kernel with IPVS, as root: `tools/guest.sh tests/guest` runs them in a virtual machine that has Debian's.

Where this machine's own kernel has ip_vs, `pytest tests/guest` does, too; elsewhere they are skipped.
"""
