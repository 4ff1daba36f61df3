"""Makes the bootstrap roles and bindings what they should be (upstream: pkg/registry/rbac/rest, component-helpers/auth/rbac/reconciliation).

Nothing is taken away: rules, subjects, labels that somebody added stay. Objects whose annotation autoupdate is "false" are left alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any, Protocol

from pybernetes.api import errors
from pybernetes.api.jsoncopy import json_copy

from . import bootstrappolicy as policy
from .escalation import missing
from .rules import compact

Object = dict[str, Any]


class Objects(Protocol):
    """The verbs of one resource, as reconciling needs them."""

    def get(self, namespace: str, name: str) -> Object | None: ...

    async def create(self, namespace: str, obj: Object) -> None: ...

    async def update(self, namespace: str, obj: Object) -> None: ...

    async def replace(self, namespace: str, obj: Object) -> None:
        """Deletes and makes anew: what a role is of cannot be changed in a binding."""
        ...


def _merged_meta(have: Object, want: Object) -> Object:
    """Labels and annotations, where some are missing."""
    changed: Object = {}
    for part in ("labels", "annotations"):
        present = have["metadata"].get(part) or {}
        if any(present.get(key) != value for key, value in want["metadata"][part].items()):
            changed[part] = {**present, **want["metadata"][part]}
    return changed


def _changed(have: Object, metadata: Object, parts: Object) -> Object | None:
    """The object with other parts; None where there are none."""
    if not metadata and not parts:
        return None
    new: Object = json_copy({**have, **parts})
    new["metadata"] |= json_copy(metadata)
    return new


def reconciled_role(have: Object, want: Object) -> Object | None:
    """The role as it should be; None if it is."""
    if (have["metadata"].get("annotations") or {}).get(policy.AUTOUPDATE) == "false":
        return None
    metadata = _merged_meta(have, want)
    if "aggregationRule" in want:
        selectors = want["aggregationRule"]["clusterRoleSelectors"]
        present = (have.get("aggregationRule") or {}).get("clusterRoleSelectors") or []
        lacking = [selector for selector in selectors if selector not in present]
        rule = {"aggregationRule": {"clusterRoleSelectors": present + lacking}} if lacking else {}
        return _changed(have, metadata, rule)
    rules = have.get("rules") or []
    absent = missing(rules, want["rules"]) if rules != want["rules"] else []
    return _changed(have, metadata, {"rules": [*rules, *compact(absent)]} if absent else {})


def reconciled_binding(have: Object, want: Object) -> Object | None:
    """As reconciled_role, of subjects. The role must be the same."""
    if (have["metadata"].get("annotations") or {}).get(policy.AUTOUPDATE) == "false":
        return None
    present = have.get("subjects") or []
    absent = [subject for subject in want.get("subjects") or () if subject not in present]
    return _changed(have, _merged_meta(have, want), {"subjects": present + absent} if absent else {})


async def _ensure(
    store: Objects, want: Object, reconciled: Callable[[Object, Object], Object | None], replaceable: bool
) -> None:
    namespace, name = want["metadata"].get("namespace", ""), want["metadata"]["name"]
    have = store.get(namespace, name)
    try:
        if have is None:
            await store.create(namespace, json_copy(want))
        elif replaceable and have.get("roleRef") != want["roleRef"]:
            if (have["metadata"].get("annotations") or {}).get(policy.AUTOUPDATE) != "false":
                await store.replace(namespace, json_copy(want))
        elif (new := reconciled(have, want)) is not None:
            await store.update(namespace, new)
    except errors.StatusError as error:
        if error.code != 409:  # another server, or a user, was faster; the next start looks again
            raise


async def reconcile(store: Callable[[str], Objects]) -> None:
    """All of it, at once; `store` gives the verbs of a resource by its name."""

    def ensured(resource: str, objects: Iterable[Object], binding: bool) -> list[Any]:
        kind = reconciled_binding if binding else reconciled_role
        verbs = store(resource)
        return [_ensure(verbs, want, kind, binding) for want in objects]

    await asyncio.gather(
        *ensured("clusterroles", policy.cluster_roles(), False),
        *ensured("clusterrolebindings", policy.cluster_role_bindings(), True),
        *ensured("roles", policy.roles(), False),
        *ensured("rolebindings", policy.role_bindings(), True),
    )
