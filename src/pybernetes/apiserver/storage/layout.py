"""Where upstream's API server keeps objects: PREFIX/RESOURCE/[NAMESPACE/]NAME, custom resources under their group. Pure.

Upstream: SpecialDefaultResourcePrefixes of pkg/kubeapiserver, ResourcePrefix of apiserver/pkg/server/storage; what is served by the
aggregator and the apiextensions server lies under its group, as custom resources do.
"""

from __future__ import annotations

from collections.abc import Iterable

from ..generic.keys import ELSEWHERE, FORMER, GROUPED, Keys

SPECIAL = {
    **ELSEWHERE,
    ("masterleases", "endpoints"): "masterleases",  # of API servers, see services.keeper
}
DEEP = frozenset(place.partition("/")[0] for place in SPECIAL.values() if "/" in place)  # what has two segments


class Layout:
    """The keys of the API server (`Keys`) as upstream's, and back. `resources`: (group, resource) of what is built in."""

    def __init__(self, keys: Keys, resources: Iterable[tuple[str, str]]) -> None:
        self._keys = keys
        own = {one: FORMER.get(one, one[1]) for one in resources if one[0] not in GROUPED}
        self._place: dict[str, str] = {}  # ours, as `Keys.resource` gives it -> upstream's
        self._resource: dict[str, str] = {}
        for (group, resource), place in (own | SPECIAL).items():
            ours, theirs = keys.resource(group, resource), f"{keys.root}{place}/"
            self._place[ours], self._resource[theirs] = theirs, ours

    def theirs(self, key: str) -> str:
        """Upstream's for a key, or for what keys begin with, from the resource on."""
        prefix = self._keys.resource_of(key)
        if not prefix:
            return key
        return self._place.get(prefix, prefix) + key[len(prefix) :]

    def ours(self, key: str) -> str:
        """A key of upstream's as the API server has it; "" where it is no object's that could be served here."""
        root = self._keys.root
        if not key.startswith(root):
            return ""
        end = key.find("/", len(root)) + 1
        first = key[len(root) : end - 1] if end else ""
        if first in DEEP or "." in first:
            end = key.find("/", end) + 1
        prefix = key[:end]
        if not end or len(key) == end:
            return ""
        ours = self._resource.get(prefix)
        if ours is not None:
            return ours + key[end:]
        return key if "." in first else ""

    def built_in(self, prefix: str) -> bool:
        """Whether a resource (as `Keys.resource` gives it) is none of a CustomResourceDefinition."""
        return prefix in self._place or self._keys.named(prefix)[0] in GROUPED
