"""Recorded cases (Kubernetes 1.20) that today's upstream answers differently: name -> the change that explains it."""

DIFFERENCES: dict[str, str] = {
    "kinds/batch/jobs/create": "tables of Jobs have a column Status since 1.31",
    "kinds/core/node/invalid": "1.20 looked at one podCIDR only while dual stack was off",
    "kinds/core/pod/invalid-env": "environment variable names were relaxed in 1.32",
    "kinds/core/pod/invalid-host-ports": "hostPort, not containerPort, is blamed",
    "kinds/core/pod/invalid-labels": "owner references are Required, and named by index",
    "kinds/core/pod/invalid-misc": "DNS search paths were relaxed; host aliases are named by index",
    "kinds/core/pod/status": "the column Restarts is text since 1.22",
    "kinds/core/pod/table-crash": "the column Restarts is text since 1.22",
    "kinds/core/pod/table-reason": "the column Restarts is text since 1.22",
    "kinds/core/pod/table-terminated": "the column Restarts is text since 1.22",
    "kinds/core/service/invalid-addresses": "source ranges are named by index",
    "semantics/lifecycle/owner-references": "owner references are Required, and named by index",
}
