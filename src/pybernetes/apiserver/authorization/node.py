"""The Node authorizer: a kubelet reads what the pods bound to its node need, and no more (upstream: plugin/pkg/auth/authorizer/node).

Which nodes use what is kept from the changes of pods, read behind the watch cache when somebody asks.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from pybernetes.api.fieldselectors import parse_field_selector
from pybernetes.api.labels import SelectorError
from pybernetes.api.wellknown import MIRROR_POD_ANNOTATION, NODE_USER_PREFIX, NODES_GROUP

from ..authentication.user import User
from ..generic.cache import ResourceCache, Stored
from ..types import Decision, Reader, RequestInfo
from .podrefs import references, volume_secrets
from .rules import Rule, allows_path, allows_resource

LEASES = "kube-node-lease"

ALLOWED = Decision(allowed=True)
NO_OPINION = Decision()
WRITES = ("get", "create", "update", "patch", "delete")

Object = dict[str, Any]
Key = tuple[str, str, str]  # (resource, namespace, name)


def identity(user: User) -> str | None:
    """The node that the user is; "" for a node without a name; None for who is no node."""
    if NODES_GROUP not in user.groups or not user.name.startswith(NODE_USER_PREFIX):
        return None
    return user.name[len(NODE_USER_PREFIX) :]


def edges(pod: Object) -> list[Key]:
    """What the node of a pod may read because of it. Mirror pods, which nodes make themselves, give nothing."""
    if MIRROR_POD_ANNOTATION in (pod["metadata"].get("annotations") or {}):
        return []
    namespace = pod["metadata"].get("namespace", "")
    return [(resource, namespace, name) for resource, name in set(references(pod)) if name]


class PodIndex:
    """What is used by pods of which nodes. Follows the cache of pods by the changes since it last looked.

    It keeps what it needs of a pod, not the pod: decoded pods are ten times as large as their bytes.
    """

    def __init__(self, pods: ResourceCache) -> None:
        self._pods = pods
        self._revision = -1
        self._known: dict[str, tuple[str, list[Key]]] = {}  # a pod's key -> (node, what it uses)
        self._nodes: dict[Key, Counter[str]] = {}

    def uses(self, key: Key, node: str) -> bool:
        """Whether a pod on the node refers to it."""
        self._follow()
        return node in self._nodes.get(key, ())

    def _follow(self) -> None:
        pods = self._pods
        if pods.changed == self._revision:
            return
        if self._revision < pods.ring_start:
            self._known, self._nodes = {}, {}
            for key, stored in pods.items.items():
                self._update(key, stored)
        else:
            fresh: dict[str, Stored | None] = {}
            for change in reversed(pods.ring):
                if change.revision <= self._revision:
                    break
                changed = change.current or change.previous
                if changed is not None:
                    fresh.setdefault(changed.key, change.current)
            for key, current in fresh.items():
                self._update(key, current)
        self._revision = pods.changed

    def _update(self, key: str, stored: Stored | None) -> None:
        before = self._known.pop(key, None)
        if before is not None:
            self._count(*before, -1)
        pod = stored.copy() if stored is not None else {}
        node = (pod.get("spec") or {}).get("nodeName")
        if node:
            self._known[key] = node, edges(pod)
            self._count(*self._known[key], 1)

    def _count(self, node: str, used: list[Key], by: int) -> None:
        for key in used:
            counts = self._nodes.setdefault(key, Counter())
            counts[node] += by
            if counts[node] <= 0:
                del counts[node]
                if not counts:
                    del self._nodes[key]


NO_RULES = "node authorizer does not support user rule resolution"


class NodeAuthorizer:
    """See `types.Authorizer`; `rules` are what every node may, as of the cluster role system:node."""

    def __init__(self, reader: Reader, pods: ResourceCache, rules: Sequence[Rule]) -> None:
        self._reader = reader
        self._index = PodIndex(pods)
        self._rules = rules
        self._known: dict[tuple[str, str, str, str], Decision] = {}

    def rules_for(self, user: User, namespace: str) -> tuple[list[Rule], list[str]]:
        """See `modes.RuleResolver`: what a node may depends on its pods."""
        return [], [NO_RULES] if identity(user) is not None else []

    async def authorize(self, user: User, info: RequestInfo) -> Decision:
        node = identity(user)
        if node is None:
            return NO_OPINION
        if not node:
            return Decision(reason=f'unknown node for user "{user.name}"')
        if not info.is_resource:
            return _of(any(allows_path(rule, info.verb, info.path) for rule in self._rules))
        match info.group, info.resource:
            case "", "secrets" | "configmaps":
                return self._read_namespaced(node, info)
            case "", "persistentvolumeclaims" if info.subresource == "status":
                return self._update_status(node, info)
            case ("", "persistentvolumeclaims" | "persistentvolumes") | ("storage.k8s.io", "volumeattachments"):
                return self._get(node, info)
            case "resource.k8s.io", "resourceclaims":
                return self._get(node, info)
            case "", "serviceaccounts":
                return self._create_token(node, info)
            case "coordination.k8s.io", "leases":
                return lease(node, info)
            case "storage.k8s.io", "csinodes":
                return csi_node(node, info)
            case "", "nodes":
                return node_object(node, info)
            case "", "pods":
                return self._pod(node, info)
        return self._by_rules(info)

    def _by_rules(self, info: RequestInfo) -> Decision:
        key = (info.verb, info.group, info.resource, info.subresource)
        decision = self._known.get(key)
        if decision is None:
            decision = self._known[key] = _of(any(allows_resource(rule, *key) for rule in self._rules))
        return decision

    # What depends on the node's pods.

    def _related(self, node: str, info: RequestInfo) -> Decision:
        if not info.name:
            return Decision(reason="No Object name found")
        if self._has_path(node, info.resource, info.namespace, info.name):
            return ALLOWED
        return Decision(reason=f"no relationship found between node '{node}' and this object")

    def _has_path(self, node: str, resource: str, namespace: str, name: str) -> bool:
        reader, uses = self._reader, self._index.uses
        if resource == "pods":
            pod = reader.get("", "pods", namespace, name)
            return pod is not None and (pod.get("spec") or {}).get("nodeName") == node
        if resource == "volumeattachments":
            attachment = reader.get("storage.k8s.io", resource, "", name)
            return attachment is not None and (attachment.get("spec") or {}).get("nodeName") == node
        if resource == "persistentvolumes":
            volume = reader.get("", resource, "", name)
            return volume is not None and self._uses_volume(node, volume)
        if uses((resource, namespace, name), node):
            return True
        if resource != "secrets":
            return False
        return any(
            (namespace, name) in volume_secrets(volume) and self._uses_volume(node, volume)
            for volume in reader.list("", "persistentvolumes")
        )

    def _uses_volume(self, node: str, volume: Object) -> bool:
        claim = (volume.get("spec") or {}).get("claimRef") or {}
        return self._index.uses(("persistentvolumeclaims", claim.get("namespace", ""), claim.get("name", "")), node)

    def _read_namespaced(self, node: str, info: RequestInfo) -> Decision:
        if info.verb not in ("get", "list", "watch"):
            return Decision(reason="can only read resources of this type")
        if info.subresource:
            return Decision(reason="cannot read subresource")
        if not info.namespace:
            return Decision(reason="can only read namespaced object of this type")
        return self._related(node, info)

    def _update_status(self, node: str, info: RequestInfo) -> Decision:
        if info.verb not in ("update", "patch"):
            return Decision(reason="can only get/update/patch this type")
        return self._related(node, info)

    def _get(self, node: str, info: RequestInfo) -> Decision:
        if info.verb != "get":
            return Decision(reason="can only get individual resources of this type")
        if info.subresource:
            return Decision(reason="cannot get subresource")
        return self._related(node, info)

    def _create_token(self, node: str, info: RequestInfo) -> Decision:
        if info.verb != "create" or not info.name:
            return Decision(reason="can only create tokens for individual service accounts")
        if info.subresource != "token":
            return Decision(reason="can only create token subresource of serviceaccount")
        return self._related(node, info)

    def _pod(self, node: str, info: RequestInfo) -> Decision:
        match info.subresource, info.verb:
            case "", "get":
                return self._related(node, info)
            case "", "list" | "watch":
                if _selects(info.field_selector, "spec.nodeName", node):
                    return ALLOWED
                if info.name:
                    return self._related(node, info)
                return Decision(reason="can only list/watch pods with spec.nodeName field selector")
            case ("", "create" | "delete") | ("status", "update" | "patch") | ("eviction", "create"):
                return ALLOWED  # NodeRestriction looks at the object
        return NO_OPINION


def _of(allowed: bool) -> Decision:
    return ALLOWED if allowed else NO_OPINION


def _selects(selector: str, field: str, value: str) -> bool:
    try:
        requirements = parse_field_selector(selector).requirements if selector else ()
    except SelectorError:
        return False
    return any(r.field == field and r.operator == "=" and r.value == value for r in requirements)


def lease(node: str, info: RequestInfo) -> Decision:
    """Each node has its own lease in kube-node-lease."""
    if info.verb not in WRITES:
        return Decision(reason="can only get, create, update, patch, or delete a node lease")
    if info.namespace != LEASES:
        return Decision(reason=f'can only access leases in the "{LEASES}" system namespace')
    if info.verb != "create" and info.name != node:
        return Decision(reason="can only access node lease with the same name as the requesting node")
    return ALLOWED


def csi_node(node: str, info: RequestInfo) -> Decision:
    """Each node has its own CSINode."""
    if info.verb not in WRITES:
        return Decision(reason="can only get, create, update, patch, or delete a CSINode")
    if info.subresource:
        return Decision(reason="cannot authorize CSINode subresources")
    if info.verb != "create" and info.name != node:
        return Decision(reason="can only access CSINode with the same name as the requesting node")
    return ALLOWED


def node_object(node: str, info: RequestInfo) -> Decision:
    """Its own Node; which one it writes is NodeRestriction's to see."""
    match info.subresource, info.verb:
        case ("", "create" | "update" | "patch") | ("status", "update" | "patch"):
            return ALLOWED
        case "", "get" | "list" | "watch":
            if info.name == node:
                return ALLOWED
            if not info.name:
                return Decision(reason=f"node '{node}' cannot read all nodes, only its own Node object")
            return Decision(reason=f"node '{node}' cannot read '{info.name}', only its own Node object")
    return NO_OPINION
