"""What a test calls a resource, as the server has it: pod, pods, po, Deployment, deployments.apps, widgets.example.com."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from pybernetes.client.rest import RESTClient

from .arguments import WrongArgument

AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
SHOWN = 12  # names in a refusal


@dataclass(frozen=True, slots=True)
class Resource:
    """As discovery tells it."""

    group: str
    version: str
    name: str
    kind: str
    namespaced: bool
    verbs: frozenset[str]
    words: frozenset[str]  # in lower case, what it may be called without its group

    @property
    def api_version(self) -> str:
        """v1, apps/v1."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def full_name(self) -> str:
        """pods, deployments.apps."""
        return f"{self.name}.{self.group}" if self.group else self.name

    def path(self, namespace: str = "", name: str = "", subresource: str = "") -> str:
        """Where it is; of all namespaces without one."""
        path = f"/apis/{self.api_version}" if self.group else f"/api/{self.version}"
        if namespace and self.namespaced:
            path += f"/namespaces/{quote(namespace, safe='')}"
        parts = [part for part in (self.name, quote(name, safe=""), subresource) if part]
        return "/".join([path, *parts])


class Resources:
    """All of a server. Asked again when somebody names one that is not known yet."""

    def __init__(self, client: RESTClient) -> None:
        self._client = client
        self._known: list[Resource] = []

    async def find(self, word: str) -> Resource:
        """By kind, plural, singular or short name, with `.GROUP` or `.VERSION.GROUP` behind it where it says too little. WrongArgument."""
        if not isinstance(word, str) or not word:
            raise WrongArgument(f"kind={word!r}: want what kubectl calls it, as pod, deploy, widgets.example.com")
        for again in (False, True):
            if again or not self._known:
                self._known = await self._ask()
            resource = self._find(word)
            if resource is not None:
                return resource
        names = sorted(one.full_name for one in self._known)
        near = [name for name in names if word.lower()[:3] in name] or names
        more = f" and {len(near) - SHOWN} more" if len(near) > SHOWN else ""
        raise WrongArgument(f"the server has no resource {word!r}; there is {', '.join(near[:SHOWN])}{more}")

    async def of(self, obj: dict[str, Any]) -> Resource:
        """Of an object. WrongArgument."""
        for again in (False, True):
            if again or not self._known:
                self._known = await self._ask()
            for one in self._known:
                if one.api_version == obj["apiVersion"] and one.kind == obj["kind"]:
                    return one
        raise WrongArgument(f"the server has no {obj['kind']} of {obj['apiVersion']}: is its definition applied?")

    async def all(self) -> list[Resource]:
        """Of each the version that the server prefers."""
        self._known = await self._ask()
        return list({(one.group, one.name): one for one in reversed(self._known)}.values())

    def _find(self, word: str) -> Resource | None:
        name, _, rest = word.lower().partition(".")
        for one in self._known:
            if name in one.words and rest in ("", one.group, f"{one.version}.{one.group}", one.version):
                return one
        return None

    async def _ask(self) -> list[Resource]:
        """Core first, and of each group the preferred version first."""
        resources = []
        for path in ("/api", "/apis"):
            told = json.loads(await self._client.raw("GET", path, headers={"Accept": AGGREGATED}))
            for group in told["items"]:
                for version in group.get("versions") or ():
                    for one in version.get("resources") or ():
                        resources.append(_resource(group["metadata"].get("name", ""), version["version"], one))
        return resources


def _resource(group: str, version: str, told: dict[str, Any]) -> Resource:
    kind = told["responseKind"].get("kind", "")
    words = (told["resource"], told.get("singularResource") or "", kind, *(told.get("shortNames") or ()))
    lower = frozenset(word.lower() for word in words if word)
    verbs = frozenset(told.get("verbs") or ())
    return Resource(group, version, told["resource"], kind, told.get("scope") == "Namespaced", verbs, lower)
