"""What today's upstream makes of recorded pods otherwise than 1.20 did: by case, path by path, with the change that explains it.

As in tests/api/differences.py such a case is played and everything else in it compared. Step 0 is what is seen first.
"""

from __future__ import annotations

import re
from typing import Any

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
    "liveness-timeout": (
        Difference(
            "since 1.24 the message of a command that ran out of time is not empty",
            (
                Change(
                    0,
                    "observed.events[4].message",
                    'Liveness probe failed: command timed out: "<command>" timed out after <n>s',
                ),
            ),
        ),
    ),
    "node-affinity-refused": _refused(
        "NodeAffinity", "Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector"
    ),
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


def _of_run(number: int) -> tuple[Change, ...]:
    """What Docker shows of a container's run."""
    labels = {
        "annotation.io.kubernetes.container.restartCount": str(number),
        "io.kubernetes.container.logpath": f"/var/log/pods/{{ns}}_p_<uid>/c/{number}.log",
    }
    return tuple(
        Change(0, f"observed.pods.p.containers.c.Config.Labels[{name}]", text) for name, text in labels.items()
    )


# Where upstream's own order is a race: what may be seen in the place of what was recorded.
RACES: dict[str, Difference] = {
    "image-error": Difference(
        "the recording looked between the event of the back-off and the status that tells of it",
        (
            Change(
                0,
                "observed.pods.p.status.containerStatuses[0].state.waiting",
                {
                    "reason": "ImagePullBackOff",
                    "message": 'Back-off pulling image "localhost:5000/none:2": ErrImagePull: <cause>',
                },
            ),
        ),
    ),
    "command-not-found-always": Difference(
        "the recording looked between the start of the next run and the status that tells of it",
        _of_run(1),
    ),
    "liveness-timeout": Difference(
        "the recording looked when the next run had been made already",
        _of_run(0),
    ),
    "image-latest": Difference(
        "the recorded kubelet once looked at a state from before its own sandbox; image-missing-tag, the same but for the name, has no such event",
        (Change(0, "observed.events[4]", how="gone"),),
    ),
}

# Messages that have other words today, wherever they were recorded: the words then, the words now, and since when.
WORDS: tuple[tuple[re.Pattern[str], str, str], ...] = (
    (re.compile(r"Created container \S+"), "Container created", "1.35"),
    (re.compile(r"Started container \S+"), "Container started", "1.35"),
    (
        re.compile(r'(Container image "[^"]*" already present on machine)'),
        r"\1 and can be accessed by the pod",
        "1.35, where the kubelet asks whether the pod may use an image that another has pulled (#128152)",
    ),
    (
        re.compile(r'(Successfully pulled image "[^"]*" in) .*'),
        r"\1 <duration> (<duration> including waiting). Image size: <n> bytes.",
        "1.26 and 1.30",
    ),
    (
        re.compile(r"Back-off restarting failed container"),
        r"Back-off restarting failed container <container> in pod <pod>",
        "1.27",
    ),
    (re.compile(r"(\w+ probe errored): (.*)", re.S), r"\1 and resulted in unknown state: \2", "1.33"),
)
# By the event's or state's reason.
WORDS_OF_REASON: dict[str, tuple[re.Pattern[str], str, str]] = {
    "FailedPostStartHook": (re.compile(r".*", re.S), "PostStartHook failed", "1.24: what a hook says may be secret"),
    "FailedPreStopHook": (re.compile(r".*", re.S), "PreStopHook failed", "1.24: what a hook says may be secret"),
    "ImagePullBackOff": (
        re.compile(r'(Back-off pulling image "[^"]*")'),
        r"\1: ErrImagePull: <cause>",
        "1.32: the state tells why",
    ),
}


def in_todays_words(value: Any) -> Any:
    """What was recorded, its messages as today's upstream words them."""
    if isinstance(value, list):
        return [in_todays_words(one) for one in value]
    if not isinstance(value, dict):
        return value
    result = {key: in_todays_words(one) for key, one in value.items()}
    message, of_reason = result.get("message"), WORDS_OF_REASON.get(str(result.get("reason")))
    if isinstance(message, str):
        for recorded, today, _ in WORDS if of_reason is None else (of_reason,):
            if recorded.fullmatch(message):
                result["message"] = recorded.sub(today, message, count=1)
                break
    return result
