"""What today's controllers and scheduler say otherwise than the recorded ones of 1.20: see differences.py."""

from __future__ import annotations

from ..recorded import Change, Difference

_SCHEDULER = (
    "only the nodes of the case are told of, which is played alone; the text tells what preemption came to since 1.24, "
    "one reason for both kinds of affinity, and not which taint"
)
_UNHELPFUL = "Preemption is not helpful for scheduling"
_NO_VICTIMS = "No preemption victims found for incoming pod"


def _unscheduled(
    step: int, nodes: int, why: str, preemption: str = "", *more: Change, event: bool = False
) -> tuple[Difference, ...]:
    """The message of PodScheduled, and that of the event where the next step looks at it.

    `preemption` is what it came to for all nodes, where it was tried.
    """
    text = f"0/{nodes} nodes are available: {why}."
    if preemption:
        text += f" preemption: 0/{nodes} nodes are available: {preemption}."
    changes = [Change(step, "body.status.conditions[0].message", text)]
    if event:
        changes.append(Change(step + 1, "body.items[0].message", text))
    return (Difference(_SCHEDULER, (*changes, *more)),)


def _ports(event: bool = False) -> tuple[Difference, ...]:
    text = "1 node(s) didn't have free ports for the requested pod ports"
    return _unscheduled(6, 1, text, f"1 {_NO_VICTIMS}", event=event)


_SPREAD = (
    2,
    "1 node(s) didn't match pod topology spread constraints, 1 node(s) were unschedulable",
    f"1 {_NO_VICTIMS}, 1 {_UNHELPFUL}",
)

CONTROL_DIFFERENCES: dict[str, tuple[Difference, ...]] = {
    "control/events/deployment": (
        Difference(
            "the size before is told since 1.27",
            tuple(
                Change(7, f"body.items[{place}].message", f"Scaled {text}")
                for place, text in enumerate(
                    (
                        "up replica set {rs} from 0 to 1",
                        "up replica set {rs} from 1 to 3",
                        "down replica set {rs} from 3 to 0",
                    )
                )
            ),
        ),
    ),
    "control/quota/must-specify": (
        Difference(
            "containers are named since 1.26",
            (
                Change(
                    3,
                    "body.message",
                    'pods "a" is forbidden: failed quota: q: must specify limits.memory for: c; requests.cpu for: c',
                ),
            ),
        ),
    ),
    "control/scheduler/affinity-unmet": _unscheduled(
        4, 1, "1 node(s) didn't match Pod's node affinity/selector", f"1 {_UNHELPFUL}", event=True
    ),
    "control/scheduler/anti-affinity-host": _unscheduled(
        10, 2, "2 node(s) didn't match pod anti-affinity rules", f"2 {_NO_VICTIMS}", event=True
    ),
    "control/scheduler/anti-affinity-symmetric": _unscheduled(
        6, 1, "1 node(s) didn't satisfy existing pods anti-affinity rules", f"1 {_NO_VICTIMS}", event=True
    ),
    "control/scheduler/claim-unbound": _unscheduled(
        6, 1, "pod has unbound immediate PersistentVolumeClaims", f"1 {_UNHELPFUL}", event=True
    ),
    "control/scheduler/extended-resource": _unscheduled(6, 1, "1 Insufficient golden.example/gpu", f"1 {_NO_VICTIMS}"),
    "control/scheduler/host-network-ports": _ports(),
    "control/scheduler/host-port-any-address": _ports(),
    "control/scheduler/host-port-conflict": _ports(event=True),
    "control/scheduler/insufficient-several": _unscheduled(
        4,
        1,
        "1 Insufficient cpu, 1 Insufficient ephemeral-storage, 1 Insufficient memory",
        f"1 {_UNHELPFUL}",
        event=True,
    ),
    "control/scheduler/pod-affinity-other-namespace": _unscheduled(
        7, 1, "1 node(s) didn't match pod affinity rules", f"1 {_UNHELPFUL}"
    ),
    "control/scheduler/pod-affinity-unmet": _unscheduled(
        4, 1, "1 node(s) didn't match pod affinity rules", f"1 {_UNHELPFUL}", event=True
    ),
    "control/scheduler/pod-count": _unscheduled(6, 1, "1 Too many pods", f"1 {_NO_VICTIMS}", event=True),
    "control/scheduler/preemption-lowest-victim": _unscheduled(14, 2, "2 Insufficient cpu"),
    "control/scheduler/preemption-never": (
        Difference(
            _SCHEDULER,
            (
                Change(
                    8,
                    "body.status.conditions[0].message",
                    "0/1 nodes are available: 1 Insufficient cpu. "
                    "preemption: not eligible due to preemptionPolicy=Never.",
                ),
            ),
        ),
    ),
    "control/scheduler/preemption-nominates": _unscheduled(
        8,
        1,
        "1 Insufficient cpu",
        "",
        Change(10, "body.items[0].message", "Preempted by pod <uid> on node n0-{run}"),
    ),
    "control/scheduler/spread-hard-unmet": _unscheduled(8, *_SPREAD, event=True),
    "control/scheduler/spread-max-skew": _unscheduled(10, *_SPREAD),
    "control/scheduler/spread-missing-label": _unscheduled(
        4,
        1,
        "1 node(s) didn't match pod topology spread constraints (missing required label)",
        f"1 {_UNHELPFUL}",
        event=True,
    ),
    "control/scheduler/taint-no-execute": _unscheduled(4, 1, "1 node(s) had untolerated taint(s)", f"1 {_UNHELPFUL}"),
    "control/scheduler/taint-no-schedule": _unscheduled(
        4, 1, "1 node(s) had untolerated taint(s)", f"1 {_UNHELPFUL}", event=True
    ),
    "control/volumes/delete-policy-without-plugin": (
        Difference(
            "errors begin in lower case today",
            (
                Change(
                    7,
                    "body.status.message",
                    'error getting deleter volume plugin for volume "pv-{run}": no deletable volume plugin matched',
                ),
            ),
        ),
    ),
}
