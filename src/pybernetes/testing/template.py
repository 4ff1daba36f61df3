"""What every cluster begins with, worked out once a process: later clusters get it with uids and times of their own. Pure.

A server's start only makes what is missing, so that nothing else differs from a cluster that began with nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from pybernetes.apiserver.generic.keys import Keys
from pybernetes.store.memory import Snapshot

# What does not depend on the cluster's address, authorities or options.
RESOURCES = (
    ("", "namespaces"),
    ("rbac.authorization.k8s.io", "clusterroles"),
    ("rbac.authorization.k8s.io", "clusterrolebindings"),
    ("rbac.authorization.k8s.io", "roles"),
    ("rbac.authorization.k8s.io", "rolebindings"),
    ("flowcontrol.apiserver.k8s.io", "prioritylevelconfigurations"),
    ("flowcontrol.apiserver.k8s.io", "flowschemas"),
    ("scheduling.k8s.io", "priorityclasses"),
    ("apiregistration.k8s.io", "apiservices"),
)


def template(snapshot: Snapshot, keys: Keys) -> Snapshot:
    """What other clusters may begin with, of a server that has just started."""
    prefixes = tuple(keys.resource(group, resource) for group, resource in RESOURCES)
    return Snapshot({key: value for key, value in snapshot.values.items() if key.startswith(prefixes)})


def fresh(template: Snapshot, now: str, new_uid: Callable[[], str]) -> Snapshot:
    """The same objects as if they were made now."""
    return Snapshot({key: _renewed(value, now, new_uid()) for key, value in template.values.items()})


def _renewed(value: bytes, now: str, uid: str) -> bytes:
    obj: dict[str, Any] = msgspec.json.decode(value)
    metadata = obj["metadata"]
    metadata["uid"], metadata["creationTimestamp"] = uid, now
    for entry in metadata.get("managedFields", ()):
        entry["time"] = now
    for condition in (obj.get("status") or {}).get("conditions") or ():
        condition["lastTransitionTime"] = now
    return msgspec.json.encode(obj)
