"""MutatingWebhookConfiguration of admissionregistration.k8s.io/v1 (upstream: pkg/registry/admissionregistration)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from ...resource import Column, Errors, Object, Resource
from ..printing import AGE, NAME, object_age
from . import webhooks


def default(configuration: Object) -> None:
    """See `webhooks`."""
    webhooks.default(configuration, mutating=True)


def validate(configuration: Object) -> Errors:
    """See `webhooks`."""
    return webhooks.validate(configuration, mutating=True)


def validate_update(new: Object, old: Object) -> Errors:
    """As on creation, but for conditions that were there."""
    return webhooks.validate(new, mutating=True, old=old)


def row(configuration: Object, now: datetime) -> list[Any]:
    """Name, Webhooks, Age."""
    count = len(configuration.get("webhooks") or ())
    return [configuration["metadata"]["name"], count, object_age(configuration, now)]


RESOURCE = Resource(
    group="admissionregistration.k8s.io",
    version="v1",
    name="mutatingwebhookconfigurations",
    kind="MutatingWebhookConfiguration",
    schema="io.k8s.api.admissionregistration.v1.MutatingWebhookConfiguration",
    namespaced=False,
    categories=("api-extensions",),
    default=default,
    validate=validate,
    validate_update=validate_update,
    allow_unconditional_update=False,
    columns=(NAME, Column("Webhooks", type="integer", description="How many webhooks there are"), AGE),
    row=row,
)
