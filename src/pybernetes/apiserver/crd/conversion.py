"""Conversion between versions by a webhook (upstream: pkg/apiserver/conversion/webhook_converter.go).

What a webhook made of an object is remembered, so that reading, which does not wait, finds it there.
"""

from __future__ import annotations

import copy
import uuid
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any

import msgspec

from pybernetes.api import errors
from pybernetes.api.errors import StatusError

from ..generic.cache import Stored
from ..resource import Object
from . import structural
from .resources import Forms
from .schema import CustomSchema

TIMEOUT_SECONDS = 30
REVIEWS = ("v1", "v1beta1")
KEPT = 20_000  # conversions remembered, before all are forgotten

# (clientConfig, body, seconds) -> the decoded answer. Raises `Failed`.
Call = Callable[[Mapping[str, Any], bytes, int], Awaitable[Object]]


class Failed(Exception):
    """The webhook gave no answer."""


class WebhookForms(Forms):
    """As Forms, asking a webhook. `convert` must have been awaited for what `from_storage` is to give."""

    def __init__(self, spec: Object, version: str, schemas: Mapping[str, CustomSchema], call: Call) -> None:
        super().__init__(spec, version, schemas)
        webhook = spec["conversion"]["webhook"]
        self._config: Mapping[str, Any] = webhook["clientConfig"]
        self._review = next(v for v in webhook["conversionReviewVersions"] if v in REVIEWS)
        self._kind, self._call = spec["names"]["kind"], call
        self._made: dict[tuple[str, str], Object] = {}  # (uid, resource version) -> the object in this version

    def from_storage(self, obj: Object) -> Object:
        if self._is_own(obj):
            return super().from_storage(obj)
        made = self._made.get(_identity(obj))
        if made is None:
            raise _error(f"conversion webhook for {self._named()} was not asked in time")
        return copy.deepcopy(made)

    async def convert(self, stored: Iterable[Stored]) -> None:
        """Asks for all that is not remembered, at once. StatusError 500 where the webhook fails."""
        wanted: dict[tuple[str, str], Object] = {}
        for one in stored:
            obj = one.copy()
            if not self._is_own(obj) and _identity(obj) not in self._made:
                held = self._schemas.get(obj["apiVersion"].rsplit("/", 1)[-1], self._schemas[self._storage])
                structural.prune(obj, held.structural, root=True)
                structural.prepare(obj, held.structural)
                wanted[_identity(obj)] = obj
        if not wanted:
            return
        made = await self._asked(list(wanted.values()), self._version)
        if len(self._made) + len(made) > max(KEPT, 2 * len(made)):
            self._made.clear()
        self._made.update(zip(wanted, made, strict=True))

    async def to_stored(self, obj: Object) -> Object:
        """A copy in the stored version."""
        if self._version == self._storage:
            return obj
        return self.stored((await self._asked([copy.deepcopy(obj)], self._storage))[0])

    def _is_own(self, obj: Object) -> bool:
        return bool(obj["apiVersion"] == f"{self._group}/{self._version}")

    def _named(self) -> str:
        return f"{self._group}/{self._version}, Kind={self._kind}"

    async def _asked(self, objects: Sequence[Object], version: str) -> list[Object]:
        wanted, uid = f"{self._group}/{version}", str(uuid.uuid4())
        request = {"uid": uid, "desiredAPIVersion": wanted, "objects": objects}
        review = {
            "kind": "ConversionReview",
            "apiVersion": f"apiextensions.k8s.io/{self._review}",
            "request": request,
        }
        try:
            answer = await self._call(self._config, msgspec.json.encode(review), TIMEOUT_SECONDS)
            made = read(answer, uid, objects, wanted)
        except (Failed, ValueError) as error:
            raise _error(f"conversion webhook for {self._named()} failed: {error}") from None
        for obj in made:
            structural.prune(obj, self._schemas[version].structural, root=True)
        return made


def _error(text: str) -> StatusError:
    return errors.generic(500, "", "", "", "", text)


def _identity(obj: Object) -> tuple[str, str]:
    metadata = obj["metadata"]
    return metadata.get("uid", ""), metadata.get("resourceVersion", "")


def read(answer: Object, uid: str, asked: Sequence[Object], version: str) -> list[Object]:
    """The converted objects of a review's answer; of metadata only labels and annotations may differ. ValueError."""
    response = answer.get("response")
    if not isinstance(response, dict):
        raise ValueError("no response provided")
    if response.get("uid") != uid:
        raise ValueError(f'expected response.uid="{uid}", got "{response.get("uid", "")}"')
    result = response.get("result") or {}
    if result.get("status") != "Success":
        raise ValueError(result.get("message") or "unknown reason")
    made = response.get("convertedObjects") or []
    if len(made) != len(asked):
        raise ValueError(f"returned {len(made)} objects, expected {len(asked)}")
    return [
        _checked(obj, original, index, version) for index, (obj, original) in enumerate(zip(made, asked, strict=True))
    ]


def _checked(obj: Any, original: Object, index: int, version: str) -> Object:
    if not isinstance(obj, dict):
        raise ValueError(f"invalid converted object at index {index}: no object")
    if obj.get("apiVersion") != version:
        raise ValueError(f"invalid groupVersion {obj.get('apiVersion', '')} at index {index}, expected {version}")
    if obj.get("kind") != original["kind"]:
        raise ValueError(f"invalid kind {obj.get('kind', '')} at index {index}, expected {original['kind']}")
    metadata, before = obj.get("metadata") or {}, original["metadata"]
    for name in ("name", "namespace", "uid"):
        if metadata.get(name, "") != before.get(name, ""):
            raise ValueError(f"invalid metadata of object at index {index}: must have the same {name}")
    kept = {key: value for key, value in before.items() if key not in ("labels", "annotations")}
    own = {key: metadata[key] for key in ("labels", "annotations") if metadata.get(key)}
    return {**obj, "metadata": {**kept, **own}}
