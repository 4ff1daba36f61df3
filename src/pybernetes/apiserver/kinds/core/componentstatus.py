"""ComponentStatus of v1: the deprecated health of the control plane; nothing is stored."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from ...resource import Column, Object, Resource
from ..printing import NAME

_WORDS = {"True": "Healthy", "False": "Unhealthy"}


def row(component: Object, now: datetime) -> list[Any]:
    """Name, Status, Message, Error: of the condition Healthy."""
    status, message, error = "Unknown", "", ""
    for condition in component.get("conditions") or ():
        if condition.get("type") == "Healthy":
            status = _WORDS.get(condition.get("status", ""), "Unhealthy")
            message, error = condition.get("message") or "", condition.get("error") or ""
            break
    return [component["metadata"]["name"], status, message, error]


RESOURCE = Resource(
    group="",
    version="v1",
    name="componentstatuses",
    kind="ComponentStatus",
    schema="io.k8s.api.core.v1.ComponentStatus",
    namespaced=False,
    verbs=("get", "list"),
    deprecated="v1 ComponentStatus is deprecated in v1.19+",
    short_names=("cs",),
    columns=(
        NAME,
        Column("Status", description="Status of the component conditions"),
        Column("Message", description="Message of the component conditions"),
        Column("Error", description="Error of the component conditions"),
    ),
    row=row,
)
