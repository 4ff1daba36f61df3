"""What today's upstream answers otherwise than the recorded 1.20: by case, path by path, with the change that explains it.

A case with known differences is played, and everything else in it compared. It fails when the value of today is not the one
that stands here, and when a difference is not needed any more.
"""

from __future__ import annotations

from typing import Any

from ..recorded import Change, Difference
from .controldifferences import CONTROL_DIFFERENCES
from .legacydifferences import LEGACY_DIFFERENCES


def _cause(field: str, message: str, reason: str = "FieldValueInvalid") -> dict[str, str]:
    return {"reason": reason, "message": message, "field": field}


def _column(name: str, kind: str = "string") -> dict[str, Any]:
    return {"name": name, "type": kind, "format": "", "priority": 0}


def _causes(step: int, fields: dict[int, str], reason: str = "") -> tuple[Change, ...]:
    """Other fields, and perhaps another reason, of the causes at these places."""
    changes: list[Change] = []
    for place, field in fields.items():
        if reason:
            changes.append(Change(step, f"body.details.causes[{place}].reason", reason))
        changes.append(Change(step, f"body.details.causes[{place}].field", field))
    return tuple(changes)


def _restarts(step: int, count: str) -> tuple[Change, ...]:
    return (
        Change(step, "body.columnDefinitions[3].type", "string"),
        Change(step, "body.rows[0].cells[3]", count),
    )


def _whole(field: str, *places: tuple[int, str]) -> Difference:
    """A field whose parts had managers of their own in 1.20: at (step, the object's path in the answer)."""
    where = [
        (step, f"body{'.' * bool(item)}{item}.metadata.managedFields[0].fieldsV1.{field}") for step, item in places
    ]
    return Difference(
        "references and selectors are owned as a whole (atomic) since 1.21; 1.20 knew an owner of each field",
        tuple(Change(step, path, {}) for step, path in where),
    )


def _reset(*places: tuple[int, str]) -> Difference:
    """At (step, the object's path in the answer)."""
    return Difference(
        "since 1.22 nobody comes to own what a write does not set: status, in a write to the object itself",
        tuple(
            Change(step, f"body{'.' * bool(item)}{item}.metadata.managedFields[0].fieldsV1.f:status", how="gone")
            for step, item in places
        ),
    )


_SUBRESOURCES = (
    "since 1.22 what is written through a subresource has an entry of its own in managedFields, which names it"
)
_OWNER_REFERENCES = "owner references are Required, and named by index, since 1.36"
_RESTARTS = "the column Restarts is text since 1.22"
_UNLESS_INITIAL = "Forbidden: resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided"
_CSINODES = "1.20 validated CSINodes twice and named each cause twice"
_OWNER_FIELDS = {
    place: f"metadata.ownerReferences[0].{field}" for place, field in enumerate(("apiVersion", "kind", "name", "uid"))
}
_CIDR = 'Invalid value: "{}": must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)'

DIFFERENCES: dict[str, tuple[Difference, ...]] = {
    "kinds/autoscaling/horizontalpodautoscalers/invalid": (
        Difference(
            "the apiVersion of the target is checked since 1.34",
            tuple(
                Change(
                    step,
                    "body.details.causes[3]",
                    _cause("spec.scaleTargetRef.apiVersion", 'Invalid value: "": apiVersion must specify API group'),
                    how="added",
                )
                for step in (1, 2)
            ),
        ),
    ),
    "kinds/batch/jobs/create": (
        Difference(
            "tables of Jobs have a column Status since 1.30",
            (Change(2, "body.columnDefinitions[1]", _column("Status"), how="added"),),
        ),
    ),
    "kinds/core/events/create": (_whole("f:involvedObject", (1, ""), (3, "items[0]")),),
    "kinds/core/events/invalid-name": (_whole("f:involvedObject", (1, ""), (3, ""), (4, "")),),
    "kinds/core/namespace/create": (_reset((1, "")),),
    "kinds/core/node/invalid": (
        Difference(
            "1.20 looked at one podCIDR only while dual stack was off",
            tuple(
                Change(1, f"body.details.causes[{place}]", _cause(field, message), how="added")
                for place, field, message in (
                    (4, "spec.podCIDRs[1]", _CIDR.format("y")),
                    (5, "spec.podCIDRs[2]", _CIDR.format("z")),
                    (
                        6,
                        "spec.podCIDRs",
                        'Invalid value: ["x","y","z"]: may specify no more than one CIDR for each IP family',
                    ),
                )
            ),
        ),
    ),
    "kinds/core/persistentvolumeclaims/create": (
        Difference(
            "tables of claims have a column VolumeAttributesClass since 1.29",
            (
                Change(2, "body.columnDefinitions[6]", _column("VolumeAttributesClass"), how="added"),
                Change(2, "body.rows[0].cells[6]", "<unset>", how="added"),
            ),
        ),
        _reset((1, ""), (3, "items[0]")),
    ),
    "kinds/core/persistentvolumeclaims/invalid-name": (_reset((4, "")),),
    "kinds/core/persistentvolumeclaims/update": (
        Difference(
            _SUBRESOURCES,
            (
                Change(4, "body.metadata.managedFields[0].fieldsV1.f:status", how="gone"),
                Change(
                    4,
                    "body.metadata.managedFields[1]",
                    {
                        "manager": "golden",
                        "operation": "Update",
                        "apiVersion": "v1",
                        "time": "<time>",
                        "fieldsType": "FieldsV1",
                        "fieldsV1": {
                            "f:status": {"f:accessModes": {}, "f:capacity": {".": {}, "f:storage": {}}, "f:phase": {}}
                        },
                        "subresource": "status",
                    },
                    how="added",
                ),
            ),
        ),
    ),
    "kinds/core/pod/invalid-env": (
        Difference(
            "names of environment variables were relaxed in 1.32: printable ASCII other than =",
            (Change(1, "body.details.causes[2]", how="gone"),),
        ),
    ),
    "kinds/core/pod/invalid-host-ports": (
        Difference(
            "hostPort, not containerPort, is blamed since 1.27",
            _causes(1, {1: "spec.containers[0].ports[0].hostPort"}),
        ),
    ),
    "kinds/core/pod/invalid-labels": (
        Difference(
            _OWNER_REFERENCES,
            _causes(1, {4 + place: field for place, field in _OWNER_FIELDS.items()}, "FieldValueRequired"),
        ),
    ),
    "kinds/core/pod/invalid-misc": (
        Difference(
            "host aliases are named by index",
            _causes(1, {11: "spec.hostAliases[0].ip", 12: "spec.hostAliases[0].hostnames[0]"}),
        ),
    ),
    "kinds/core/pod/status": (
        Difference(_RESTARTS, (*_restarts(3, "2"), *_restarts(4, "2"))),
        Difference(_SUBRESOURCES, unsaid=("metadata.managedFields",)),
    ),
    "kinds/core/pod/status-reset": (_reset((1, "")),),
    "kinds/core/pod/table-crash": (Difference(_RESTARTS, _restarts(3, "7")),),
    "kinds/core/pod/table-reason": (Difference(_RESTARTS, _restarts(3, "0")),),
    "kinds/core/pod/table-terminated": (Difference(_RESTARTS, _restarts(3, "0")),),
    "kinds/core/replicationcontrollers/invalid-name": (
        _whole("f:spec.f:selector", (4, "")),
        Difference(
            "a time that is not set is no longer written as null since 1.34",
            (
                Change(
                    4,
                    "body.metadata.managedFields[0].fieldsV1.f:spec.f:template.f:metadata.f:creationTimestamp",
                    how="gone",
                ),
            ),
        ),
    ),
    "kinds/core/service/invalid-addresses": (
        Difference(
            "addresses are allocated before the object is validated, and clusterIPs that are none are refused there",
            tuple(Change(1, f"body.details.causes[{place}]", how="gone") for place in (4, 3, 2, 1)),
        ),
    ),
    "kinds/core/service/named-ports": (_whole("f:spec.f:selector", (1, "")),),
    "kinds/core/serviceaccounts/create": (_whole('f:secrets.k:{"name":"x"}', (1, ""), (3, "items[0]")),),
    "kinds/events/events/create": (_whole("f:regarding", (1, ""), (2, "")),),
    "kinds/networking/ingressclasses/create": (_whole("f:spec.f:parameters", (1, "")),),
    "kinds/rbac/rolebindings/create": (_whole("f:roleRef", (1, "")),),
    "kinds/storage/csidrivers/create": (
        Difference(
            "tables of CSIDrivers have columns StorageCapacity, TokenRequests and RequiresRepublish since 1.21",
            (
                Change(2, "body.columnDefinitions[3]", _column("StorageCapacity", "boolean"), how="added"),
                Change(2, "body.columnDefinitions[4]", _column("TokenRequests"), how="added"),
                Change(2, "body.columnDefinitions[5]", _column("RequiresRepublish", "boolean"), how="added"),
            ),
        ),
    ),
    "kinds/storage/csidrivers/update": (
        Difference(
            "the fields of a CSIDriver that may not change are compared one by one",
            _causes(2, {0: "spec.attachedRequired"}),
        ),
        Difference(
            "podInfoOnMount (and fsGroupPolicy) may change since 1.29",
            (
                Change(3, "code", 200),
                Change(
                    3,
                    "body",
                    {
                        "kind": "CSIDriver",
                        "apiVersion": "storage.k8s.io/v1",
                        "metadata": {"name": "x-{run}"},
                        "spec": {
                            "attachRequired": True,
                            "podInfoOnMount": True,
                            "fsGroupPolicy": "ReadWriteOnceWithFSType",
                        },
                    },
                ),
            ),
        ),
    ),
    "kinds/storage/csinodes/invalid-1": (
        Difference(
            _CSINODES, tuple(Change(1, f"body.details.causes[{place}]", how="gone") for place in range(17, 8, -1))
        ),
    ),
    "kinds/storage/csinodes/invalid-name": (
        Difference(_CSINODES, tuple(Change(step, "body.details.causes[1]", how="gone") for step in (1, 2))),
    ),
    "kinds/storage/volumeattachments/update": (_reset((3, "")),),
    "semantics/apply/list-set": (
        Difference(
            "lists follow the order in which they are applied since structured-merge-diff 4.2.1, which 1.24 has",
            tuple(Change(step, "body.metadata.finalizers", ["example.com/b", "example.com/a"]) for step in (2, 3)),
        ),
    ),
    "semantics/content/namespace-mismatch": (_reset((4, "")),),
    "semantics/lifecycle/owner-references": (
        Difference(
            _OWNER_REFERENCES,
            (
                *_causes(1, {0: _OWNER_FIELDS[3]}, "FieldValueRequired"),
                *_causes(2, _OWNER_FIELDS, "FieldValueRequired"),
                *_causes(3, {0: "metadata.ownerReferences[0]"}),
            ),
        ),
    ),
    "semantics/list-watch/version-match-errors": (
        Difference(
            "since 1.27 a watch may name a match where it asks for the initial events (WatchList)",
            (
                Change(
                    5, "body.message", f'ListOptions.meta.k8s.io "" is invalid: resourceVersionMatch: {_UNLESS_INITIAL}'
                ),
                Change(5, "body.details.causes[0].message", _UNLESS_INITIAL),
            ),
        ),
    ),
    "semantics/patch/strategic-merge-keys": (
        _whole('f:template.f:spec.f:imagePullSecrets.k:{"name":"s"}', (1, ""), (2, "")),
        _whole('f:template.f:spec.f:imagePullSecrets.k:{"name":"t"}', (2, "")),
    ),
    "semantics/patch/strategic-owner-references": (
        Difference(
            "owner references are owned as a whole (atomic) since 1.21",
            unsaid=("metadata.managedFields.fieldsV1.f:metadata.f:ownerReferences",),
        ),
    ),
    "semantics/subresources/namespace-status": (Difference(_SUBRESOURCES, unsaid=("metadata.managedFields",)),),
}

DIFFERENCES |= CONTROL_DIFFERENCES
DIFFERENCES |= LEGACY_DIFFERENCES
