"""What today's upstream makes of recorded pods otherwise than 1.20 did: by case, path by path, with the change that explains it.

As in tests/api/differences.py such a case is played and everything else in it compared. Step 0 is what is seen first.
"""

from __future__ import annotations

from ..recorded import Change, Difference

_REFUSED = "the message of a refused pod begins with 'Pod was rejected: ', and there is an event, since 1.26"


def _refused(reason: str, message: str) -> tuple[Difference, ...]:
    event = {"type": "Warning", "reason": reason, "message": message, "from": "kubelet", "object": "Pod/p"}
    return (
        Difference(
            _REFUSED,
            (
                Change(0, "observed.pods.p.status.message", f"Pod was rejected: {message}"),
                Change(0, "observed.events", [event]),
            ),
        ),
    )


DIFFERENCES: dict[str, tuple[Difference, ...]] = {
    "active-deadline": (
        Difference(
            "since 1.24 the pod is Failed only when its containers have ended, and their end is told of",
            (
                Change(
                    0,
                    "observed.pods.p.status.containerStatuses[0].state",
                    {
                        "terminated": {
                            "exitCode": 137,
                            "reason": "Error",
                            "startedAt": "<time>",
                            "finishedAt": "<time>",
                            "containerID": "docker://<containerID>",
                        }
                    },
                ),
            ),
        ),
    ),
    "dns-limits": (
        Difference(
            "since 1.26 (ExpandedDNSConfig) a resolver takes 32 search paths instead of 6",
            (
                Change(
                    0,
                    "observed.pods.p.containers.c.inside[resolv.conf]",
                    "nameserver 10.96.0.10\nnameserver 1.1.1.1\nnameserver 1.1.1.2\n"
                    "search {ns}.svc.cluster.local svc.cluster.local cluster.local example.org "
                    + " ".join(f"s{number}.example.com" for number in range(6))
                    + "\noptions ndots:5\n",
                ),
                Change(0, "observed.events[2]", how="gone"),
            ),
        ),
    ),
    "node-affinity-refused": _refused("NodeAffinity", "Predicate NodeAffinity failed"),
    "out-of-memory": _refused(
        "OutOfmemory",
        "Node didn't have enough resource: memory, requested: 1073741824000, used: <n>, capacity: <n>",
    ),
}

# Lines that today's upstream writes otherwise, in cases that are played all the same: what was recorded, what it is now.
CHANGED = {
    # Since 1.21 (#98717) all directories that a subPath makes have the volume's mode, not the last alone.
    "subpath": {
        "drwxr-xr-x    3 0        0             4096 <time> x": "drwxrwxrwx    3 0        0             4096 <time> x"
    },
}
