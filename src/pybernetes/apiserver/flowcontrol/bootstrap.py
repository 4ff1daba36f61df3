"""The FlowSchemas and PriorityLevelConfigurations that every cluster has (upstream: apiserver/pkg/apis/flowcontrol/bootstrap).

The mandatory ones are always as they are here; the suggested ones are kept so as long as their annotation says it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pybernetes.api.wellknown import (
    ALL_AUTHENTICATED,
    ALL_SERVICE_ACCOUNTS_GROUP,
    ALL_UNAUTHENTICATED,
    KUBE_CONTROLLER_MANAGER,
    KUBE_SCHEDULER,
    NODES_GROUP,
)

from ..kinds.flowcontrol import flowschema, prioritylevelconfiguration
from ..resource import Object

AUTOUPDATE = "apf.kubernetes.io/autoupdate-spec"
ALL = "*"
MANDATORY = frozenset(flowschema.MANDATORY)  # by the same names: levels and schemas


def _level(shares: int, lendable: int, queues: int, hand: int) -> Object:
    queuing = {"queues": queues, "handSize": hand, "queueLengthLimit": 50}
    return {
        "type": "Limited",
        "limited": {
            "nominalConcurrencyShares": shares,
            "lendablePercent": lendable,
            "limitResponse": {"type": "Queue", "queuing": queuing},
        },
    }


# name: spec
PRIORITY_LEVELS: Mapping[str, Object] = {
    **prioritylevelconfiguration.MANDATORY,
    "system": _level(30, 33, 64, 6),  # nodes, for the pods that run
    "node-high": _level(40, 25, 64, 6),  # nodes' health, also where they flood with the start of pods
    "leader-election": _level(10, 0, 16, 4),
    "workload-high": _level(40, 50, 128, 6),  # the controllers and the scheduler
    "workload-low": _level(100, 90, 128, 6),  # other service accounts
    "global-default": _level(20, 50, 128, 6),  # people
}


def _groups(*names: str) -> list[Object]:
    return [{"kind": "Group", "group": {"name": name}} for name in names]


def _users(*names: str) -> list[Object]:
    return [{"kind": "User", "user": {"name": name}} for name in names]


CONTROLLER_MANAGER = _users(KUBE_CONTROLLER_MANAGER)
SCHEDULER = _users(KUBE_SCHEDULER)
KUBE_SYSTEM = [{"kind": "ServiceAccount", "serviceAccount": {"name": ALL, "namespace": "kube-system"}}]
EVERYBODY = _groups(ALL_UNAUTHENTICATED, ALL_AUTHENTICATED)


def _resources(verbs: Sequence[str], group: str, resources: Sequence[str], cluster: bool) -> Object:
    rule: Object = {"verbs": list(verbs), "apiGroups": [group], "resources": list(resources), "namespaces": [ALL]}
    return {**rule, "clusterScope": True} if cluster else rule


def _everything(subjects: Sequence[Object]) -> Object:
    return {
        "subjects": list(subjects),
        "resourceRules": [_resources([ALL], ALL, [ALL], cluster=True)],
        "nonResourceRules": [{"verbs": [ALL], "nonResourceURLs": [ALL]}],
    }


@dataclass(frozen=True, slots=True)
class _Schema:
    name: str
    level: str
    precedence: int
    distinguisher: str
    rule: Object

    def spec(self) -> Object:
        method = {"distinguisherMethod": {"type": self.distinguisher}} if self.distinguisher else {}
        return {
            "priorityLevelConfiguration": {"name": self.level},
            "matchingPrecedence": self.precedence,
            **method,
            "rules": [self.rule],
        }


_PROBES = {
    "subjects": EVERYBODY,
    "nonResourceRules": [{"verbs": ["get"], "nonResourceURLs": ["/healthz", "/readyz", "/livez"]}],
}
_LEASES = _resources(["get", "create", "update"], "coordination.k8s.io", ["leases"], cluster=False)
_ELECTION = {"subjects": [*CONTROLLER_MANAGER, *SCHEDULER, *KUBE_SYSTEM], "resourceRules": [_LEASES]}
_NODE_HEALTH = {
    "subjects": _groups(NODES_GROUP),
    "resourceRules": [
        _resources([ALL], "", ["nodes", "nodes/status"], cluster=True),
        _resources([ALL], "coordination.k8s.io", ["leases"], cluster=False),
    ],
}
_SUGGESTED = (
    _Schema("probes", "exempt", 2, "", _PROBES),
    _Schema("system-leader-election", "leader-election", 100, "ByUser", _ELECTION),
    _Schema("system-node-high", "node-high", 400, "ByUser", _NODE_HEALTH),
    _Schema("system-nodes", "system", 500, "ByUser", _everything(_groups(NODES_GROUP))),
    _Schema("kube-controller-manager", "workload-high", 800, "ByNamespace", _everything(CONTROLLER_MANAGER)),
    _Schema("kube-scheduler", "workload-high", 800, "ByNamespace", _everything(SCHEDULER)),
    _Schema("kube-system-service-accounts", "workload-high", 900, "ByNamespace", _everything(KUBE_SYSTEM)),
    _Schema("service-accounts", "workload-low", 9000, "ByUser", _everything(_groups(ALL_SERVICE_ACCOUNTS_GROUP))),
    _Schema("global-default", "global-default", 9900, "ByUser", _everything(EVERYBODY)),
)
# name: spec
SCHEMAS: Mapping[str, Object] = {**flowschema.MANDATORY, **{one.name: one.spec() for one in _SUGGESTED}}
