"""Which groups, versions and resources there are (upstream: apiserver/pkg/endpoints/discovery)."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from pybernetes.api.version import version_rank

from ..kinds.apiregistration import priorities
from ..resource import Resource

STATUS_VERBS = ("get", "patch", "update")
# (verbs, kind, group, version) of subresources; "" where they are the parent's.
SUBRESOURCES: dict[str, tuple[tuple[str, ...], str, str, str]] = {
    "binding": (("create",), "Binding", "", "v1"),
    "eviction": (("create",), "Eviction", "policy", "v1"),
    "token": (("create",), "TokenRequest", "authentication.k8s.io", "v1"),
    "rollback": (("create",), "DeploymentRollback", "", ""),
    "log": (("get",), "", "", ""),
    "finalize": (("update",), "", "", ""),
    "approval": (STATUS_VERBS, "", "", ""),
    "ephemeralcontainers": (STATUS_VERBS, "", "", ""),
    "resize": (STATUS_VERBS, "", "", ""),
    "attach": (("create", "get"), "PodAttachOptions", "", "v1"),
    "exec": (("create", "get"), "PodExecOptions", "", "v1"),
    "portforward": (("create", "get"), "PodPortForwardOptions", "", "v1"),
}
PROXY_VERBS = ("create", "delete", "get", "patch", "update")


@dataclass(frozen=True, slots=True)
class RemoteVersion:
    """A group-version that another server answers; priorities are of its APIService."""

    group: str
    version: str
    group_priority: int
    version_priority: int
    resources: Sequence[Any] = ()  # APIResourceDiscovery of apidiscovery.k8s.io/v2, as that server told them
    current: bool = False  # they are what it told when it was asked last


class Discovery:
    """Answers for the resources served; a resource with a group-version that is not known sorts last."""

    def __init__(self, resources: Iterable[Resource]) -> None:
        self._always = list(resources)
        self._custom: list[Resource] = []
        self._remote: dict[tuple[str, str], RemoteVersion] = {}
        self._sort()

    def is_builtin(self, group: str, version: str) -> bool:
        """Whether resources of the server's own are of this group-version."""
        return any((one.group, one.version) == (group, version) for one in self._always)

    def serve(self, custom: Iterable[Resource]) -> None:
        """These beside the built-in ones from now on."""
        self._custom = list(custom)
        self._sort()

    def serve_remote(self, versions: Iterable[RemoteVersion]) -> None:
        """These of other servers, in place of this one's own where it has them, from now on."""
        self._remote = {(one.group, one.version): one for one in versions}
        self._sort()

    def _sort(self) -> None:
        self._by_version: dict[tuple[str, str], list[Resource]] = {}
        for resource in (*self._always, *self._custom):
            self._by_version.setdefault((resource.group, resource.version), []).append(resource)
        first = dict.fromkeys((resource.group for resource in self._custom), priorities.CUSTOM_GROUP)
        first |= {resource.group: priorities.of_group(resource.group) for resource in self._always}
        for one in self._remote.values():
            first[one.group] = max(one.group_priority, first.get(one.group, 0))
        self.groups = sorted(first.keys() - {""}, key=lambda group: (-first[group], group))

    def versions(self, group: str) -> list[str]:
        """Of the highest priority first, then newest first: v2, v1, v1beta1."""
        keys = dict.fromkeys((*self._by_version, *self._remote))
        return sorted((v for g, v in keys if g == group), key=lambda v: (-self._priority(group, v), version_rank(v)))

    def _priority(self, group: str, version: str) -> int:
        remote = self._remote.get((group, version))
        if remote is not None:
            return remote.version_priority
        if self._by_version[group, version][0].unstructured:
            return priorities.CUSTOM_VERSION
        return priorities.of_version(group, version)

    def core_versions(self, address: str) -> dict[str, Any]:
        """/api."""
        clients = [{"clientCIDR": "0.0.0.0/0", "serverAddress": address}]
        return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": clients}

    def group_list(self) -> dict[str, Any]:
        """/apis."""
        return {"kind": "APIGroupList", "apiVersion": "v1", "groups": [self._group(g) for g in self.groups]}

    def group(self, name: str) -> dict[str, Any] | None:
        """/apis/GROUP; None if there is none."""
        return {"kind": "APIGroup", "apiVersion": "v1", **self._group(name)} if name in self.groups else None

    def _group(self, name: str) -> dict[str, Any]:
        versions = [{"groupVersion": f"{name}/{v}", "version": v} for v in self.versions(name)]
        return {"name": name, "versions": versions, "preferredVersion": versions[0]}

    def resource_list(self, group: str, version: str) -> dict[str, Any] | None:
        """/api/v1 and /apis/GROUP/VERSION; None if there is none."""
        resources = self._by_version.get((group, version))
        if resources is None:
            return None
        listed = [entry for r in resources for entry in _entries(r)]
        if not all(r.unstructured for r in resources):
            listed.sort(key=lambda e: str(e["name"]))
        group_version = f"{group}/{version}" if group else version
        return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": listed}

    def aggregated(self, core: bool) -> tuple[bytes, str]:
        """(APIGroupDiscoveryList, ETag) of /api or /apis."""
        groups = [""] if core else self.groups
        items = [
            {
                "metadata": {"name": group, "creationTimestamp": None},
                "versions": [self._aggregated_version(group, version) for version in self.versions(group)],
            }
            for group in groups
        ]
        body = {"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {}, "items": items}
        data = msgspec.json.encode(body)
        return data, hashlib.sha256(data).hexdigest().upper()

    def _aggregated_version(self, group: str, version: str) -> dict[str, Any]:
        remote = self._remote.get((group, version))
        if remote is not None:
            freshness = "Current" if remote.current else "Stale"
            return {"version": version, "resources": list(remote.resources), "freshness": freshness}
        resources = sorted(self._by_version[group, version], key=_name)
        return {"version": version, "resources": [_aggregated(r) for r in resources], "freshness": "Current"}


def _name(resource: Resource) -> str:
    return resource.name


def subresources(resource: Resource) -> list[str]:
    return [
        *(["status"] if resource.status else []),
        *(["scale"] if resource.scale else []),
        *(s for s in resource.subresources if s not in ("status", "scale")),
    ]


def subresource(resource: Resource, name: str) -> tuple[Sequence[str], str, str, str]:
    if name == "proxy":
        kind = {"nodes": "NodeProxyOptions", "pods": "PodProxyOptions"}.get(resource.name, "ServiceProxyOptions")
        return PROXY_VERBS, kind, "", "v1"
    if name == "scale":
        group, _, version = resource.scale_version.rpartition("/")
        return STATUS_VERBS, "Scale", group, version
    verbs, kind, group, version = SUBRESOURCES.get(name, (STATUS_VERBS, "", "", ""))
    return verbs, kind, group, version


def _verbs(resource: Resource) -> list[str]:
    """In upstream's order, which for custom resources is no order."""
    return list(resource.verbs) if resource.unstructured else sorted(resource.verbs)


def _entries(resource: Resource) -> list[dict[str, Any]]:
    """APIResources of it and its subresources. Their members stand in upstream's order: scripts cut text out of this document."""
    entry: dict[str, Any] = {
        "name": resource.name,
        "singularName": resource.singular or resource.kind.lower(),
        "namespaced": resource.namespaced,
        "kind": resource.kind,
        "verbs": _verbs(resource),
    }
    if resource.short_names:
        entry["shortNames"] = list(resource.short_names)
    if resource.categories:
        entry["categories"] = list(resource.categories)
    if "create" in resource.verbs and "list" in resource.verbs:
        group, _, version = resource.stored_at
        stored = f"{group}/{version}/{resource.kind}".encode()
        entry["storageVersionHash"] = base64.b64encode(hashlib.sha256(stored).digest()[:8]).decode()
    entries = [entry]
    for name in subresources(resource):
        verbs, kind, group, version = subresource(resource, name)
        elsewhere = kind and (group, version) != (resource.group, resource.version) and group
        entries.append(
            {
                "name": f"{resource.name}/{name}",
                "singularName": "",
                "namespaced": resource.namespaced,
                **({"group": group, "version": version} if elsewhere else {}),
                "kind": kind or resource.kind,
                "verbs": list(verbs),
            }
        )
    return entries


def _aggregated(resource: Resource) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "resource": resource.name,
        "responseKind": {"group": resource.group, "version": resource.version, "kind": resource.kind},
        "scope": "Namespaced" if resource.namespaced else "Cluster",
        "singularResource": resource.singular or resource.kind.lower(),
        "verbs": _verbs(resource),
    }
    if resource.short_names:
        entry["shortNames"] = list(resource.short_names)
    if resource.categories:
        entry["categories"] = list(resource.categories)
    subs = []
    for name in subresources(resource):
        verbs, kind, group, version = subresource(resource, name)
        response = {
            "group": group if kind else resource.group,
            "version": version or resource.version,
            "kind": kind or resource.kind,
        }
        subs.append({"subresource": name, "responseKind": response, "verbs": list(verbs)})
    if subs:
        entry["subresources"] = subs
    return entry
