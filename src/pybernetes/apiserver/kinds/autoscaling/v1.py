"""HorizontalPodAutoscaler of autoscaling/v1: judged and shown as v2's, which it is converted to."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from ...resource import Errors, Object, Resource
from ..strategy import keep_spec, keep_status
from . import horizontalpodautoscaler as v2
from .conversion import CONVERSIONS, to_v2
from .defaults import default_v1


def prepare_create(scaler: Object) -> None:
    """Nothing was seen yet."""
    scaler["status"] = {"currentReplicas": 0, "desiredReplicas": 0}


def validate(scaler: Object) -> Errors:
    """As v2."""
    return v2.validate(to_v2(scaler))


def validate_update(new: Object, old: Object) -> Errors:
    """As on creation."""
    return v2.validate_update(to_v2(new), to_v2(old))


def row(scaler: Object, now: datetime) -> list[Any]:
    """As v2's."""
    return v2.row(to_v2(scaler), now)


RESOURCE = Resource(
    group="autoscaling",
    version="v1",
    name="horizontalpodautoscalers",
    kind="HorizontalPodAutoscaler",
    schema="io.k8s.api.autoscaling.v1.HorizontalPodAutoscaler",
    short_names=("hpa",),
    categories=("all",),
    conversions=CONVERSIONS,
    status=True,
    default=default_v1,
    prepare_create=prepare_create,
    prepare_update=keep_status,
    prepare_status=keep_spec,
    validate=validate,
    validate_update=validate_update,
    validate_status=v2.validate_status,
    columns=v2.RESOURCE.columns,
    row=row,
)
