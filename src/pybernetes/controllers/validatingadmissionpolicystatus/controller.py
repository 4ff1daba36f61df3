"""Checks the types of each policy once for each generation (upstream: pkg/controller/validatingadmissionpolicystatus)."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

import msgspec

from pybernetes.api.errors import StatusError
from pybernetes.api.types import admissionregistration_v1 as admissionregistration

from ..common import Key
from ..framework import Context, Controller

if TYPE_CHECKING:
    from .plan import Kind, Place, Schema

PATH = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies"


class ValidatingAdmissionPolicyStatusController(Controller):
    """One queue of policies."""

    name = "validatingadmissionpolicy-status-controller"
    queue_name = "validatingadmissionpolicy-status"

    def __init__(self, context: Context) -> None:
        super().__init__(context, workers=5)
        self._policies = self.informer(admissionregistration.ValidatingAdmissionPolicy)
        self._policies.add_handler(self._on_policy)

    def _on_policy(
        self,
        old: admissionregistration.ValidatingAdmissionPolicy | None,
        new: admissionregistration.ValidatingAdmissionPolicy | None,
    ) -> None:
        if new is not None:
            self.enqueue(new)

    async def sync(self, key: Key) -> None:
        """Writes what the check of a generation found, where that was not checked yet."""
        policy = self._policies.get(key[1])
        if policy is None or policy.metadata.generation <= policy.status.observed_generation:
            return
        from . import plan  # with the language of expressions: most clusters have no policy

        by_rule = plan.places(policy)
        kinds = plan.kinds(by_rule, await self._served({place for each in by_rule for place in each}))
        params = plan.param_kind(policy)
        schemas = await self._schemas({*kinds, *([params] if params is not None else [])})
        types = [(kind, schemas[kind]) for kind in kinds if kind in schemas]
        warnings = plan.checked(policy, types, schemas.get(params) if params is not None else None)
        await self._write(policy, warnings)

    async def _served(self, places: set[Place]) -> dict[Place, str]:
        """The kinds of the resources of these that are there."""
        served: dict[Place, str] = {}
        for group, version in sorted({(place.group, place.version) for place in places}):
            listed = await self._read(f"/apis/{group}/{version}" if group else f"/api/{version}")
            names = {item["name"]: item["kind"] for item in listed.get("resources") or ()}
            served |= {
                place: names[place.resource]
                for place in places
                if (place.group, place.version) == (group, version) and place.resource in names
            }
        return served

    async def _schemas(self, kinds: Iterable[Kind]) -> dict[Kind, Schema]:
        from . import plan

        schemas: dict[Kind, Schema] = {}
        for group, version in sorted({kind.group_version for kind in kinds}):
            document = await self._read(
                f"/openapi/v3/apis/{group}/{version}" if group else f"/openapi/v3/api/{version}"
            )
            for kind in kinds:
                schema = plan.schema_of(document, kind) if kind.group_version == (group, version) else None
                if schema is not None:
                    schemas[kind] = schema
        return schemas

    async def _read(self, path: str) -> dict[str, Any]:
        """A document of discovery; {} for one that is not there."""
        try:
            answer = await self.client.raw("GET", quote(path), None, {"Accept": "application/json"})
        except StatusError as error:
            if error.code == 404:
                return {}
            raise
        document: dict[str, Any] = msgspec.json.decode(answer)
        return document

    async def _write(
        self,
        policy: admissionregistration.ValidatingAdmissionPolicy,
        warnings: list[admissionregistration.ExpressionWarning],
    ) -> None:
        checking = {"expressionWarnings": [{"fieldRef": w.field_ref, "warning": w.warning} for w in warnings]}
        name = policy.metadata.name
        config = {
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "ValidatingAdmissionPolicy",
            "metadata": {"name": name},
            "status": {
                "observedGeneration": policy.metadata.generation,
                "typeChecking": checking if warnings else {},
            },
        }
        options = urlencode({"fieldManager": self.name, "force": "true"})
        path = f"{PATH}/{quote(name)}/status?{options}"
        headers = {"Content-Type": "application/apply-patch+yaml"}
        try:
            await self.client.raw("PATCH", path, json.dumps(config).encode(), headers)
        except StatusError as error:
            if error.code != 404:
                raise
