"""Kernel settings that pods may have everywhere, since each belongs to a namespace of the kernel's own: one pod's is no other's.

The kubelet takes them unasked (upstream: pkg/kubelet/sysctl/safe_sysctls.go), the Pod Security Standards allow them at every level.
"""

from __future__ import annotations

SAFE_SYSCTLS = (
    "kernel.shm_rmid_forced",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.ping_group_range",
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes",
    "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_rmem",
    "net.ipv4.tcp_syncookies",
    "net.ipv4.tcp_wmem",
)
