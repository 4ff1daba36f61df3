"""Conversions of custom resources: by their name alone, or by a webhook (upstream: pkg/apiserver/conversion).

Whatever is converted fits the schema of the version that it comes to; what that does not know is gone.
"""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from pybernetes.api import errors
from pybernetes.api.errors import StatusError

from ..conversion import Conversions, UnknownVersion
from ..resource import Object
from . import conversionreview, structural
from .schema import CustomSchema

TIMEOUT_SECONDS = 30
REVIEWS = ("v1", "v1beta1")

# (clientConfig, body, seconds) -> the decoded answer. Raises `Failed`.
Call = Callable[[Mapping[str, Any], bytes, int], Awaitable[Object]]


class Failed(Exception):
    """The webhook gave no answer."""


def of(spec: Object, schemas: Mapping[str, CustomSchema], ask: Call) -> Conversions:
    """Those that a definition asks for; `schemas` are those of all its versions, by apiVersion."""
    hub = next(f"{spec['group']}/{version['name']}" for version in spec["versions"] if version.get("storage"))
    if (spec.get("conversion") or {}).get("strategy") == "Webhook":
        return WebhookConversions(hub, schemas, spec["conversion"]["webhook"], ask)
    return RenamingConversions(hub, schemas)


class RenamingConversions:
    """Strategy None: nothing but apiVersion, and what their schemas leave out, tells the versions apart."""

    waits = False

    def __init__(self, hub: str, schemas: Mapping[str, CustomSchema]) -> None:
        self.hub, self._schemas = hub, schemas

    @property
    def versions(self) -> Collection[str]:
        """See `Conversions`."""
        return self._schemas.keys()

    def schema(self, version: str) -> CustomSchema:
        """See `Conversions`."""
        try:
            return self._schemas[version]
        except KeyError:
            raise UnknownVersion(version) from None

    def default(self, obj: Object) -> None:
        """See `Conversions`. What today's schema of the version does not know goes, too."""
        own = self.schema(obj["apiVersion"]).structural
        structural.prune(obj, own, root=True)
        structural.prepare(obj, own)

    def converted(self, obj: Object, version: str) -> Object:
        """See `Conversions`."""
        target = self.schema(version)
        if obj["apiVersion"] != version:
            self.schema(obj["apiVersion"])
            obj["apiVersion"] = version
            structural.prune(obj, target.structural, root=True)
        return obj

    async def convert(self, objects: Sequence[Object], version: str) -> list[Object]:
        """See `Conversions`; asks nobody."""
        return [self.converted(obj, version) for obj in objects]


class WebhookConversions(RenamingConversions):
    """Strategy Webhook."""

    waits = True

    def __init__(self, hub: str, schemas: Mapping[str, CustomSchema], webhook: Mapping[str, Any], ask: Call) -> None:
        """`webhook` is spec.conversion.webhook of a valid definition."""
        super().__init__(hub, schemas)
        self._config: Mapping[str, Any] = webhook["clientConfig"]
        self._review = next(v for v in webhook["conversionReviewVersions"] if v in REVIEWS)
        self._ask = ask

    def converted(self, obj: Object, version: str) -> Object:
        """See `Conversions`. StatusError 500 for another version than the object's own."""
        if obj["apiVersion"] != version:
            raise _error(obj, "was not asked in time")
        return obj

    async def convert(self, objects: Sequence[Object], version: str) -> list[Object]:
        """See `Conversions`; all that are not of the version go into one review."""
        self.schema(version)
        others = [obj for obj in objects if obj["apiVersion"] != version]
        for obj in others:
            self.schema(obj["apiVersion"])
        full = [obj for obj in others if not conversionreview.is_empty(obj)]
        answers = iter(await self._reviewed(full, version) if full else ())
        return [self._taken(obj, version, answers) for obj in objects]

    def _taken(self, obj: Object, version: str, answers: Iterator[Object]) -> Object:
        if obj["apiVersion"] == version or conversionreview.is_empty(obj):
            return {**obj, "apiVersion": version}
        converted = next(answers)
        structural.prune(converted, self.schema(version).structural, root=True)
        return converted

    async def _reviewed(self, objects: Sequence[Object], version: str) -> list[Object]:
        uid = str(uuid.uuid4())
        review = conversionreview.review(self._review, uid, version, objects)
        try:
            answer = await self._ask(self._config, msgspec.json.encode(review), TIMEOUT_SECONDS)
            return conversionreview.read(answer, self._review, uid, objects, version)
        except Failed as error:
            raise _error(objects[0], f"failed: {error}") from None
        except conversionreview.BadAnswer as error:
            raise _error(objects[0], str(error)) from None


def _error(obj: Object, why: str) -> StatusError:
    text = f"conversion webhook for {obj['apiVersion']}, Kind={obj['kind']} {why}"
    return errors.generic(500, "", "", "", "", text)
