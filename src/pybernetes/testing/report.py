"""What is shown of a cluster when a test has failed. Pure and bounded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .conditions import Object, summary
from .requests import Request, lines

OBJECTS, EVENTS, REQUESTS = 40, 20, 20
WIDTH = 200  # characters of a line
# What every namespace has, and says nothing of a test.
ORDINARY = {
    ("ConfigMap", "kube-root-ca.crt"),
    ("ServiceAccount", "default"),
    ("Endpoints", "kubernetes"),
    *(("ClusterRole", role) for role in ("admin", "edit", "view")),
}
SILENT = {"EndpointSlice", "ControllerRevision", "Lease", "IPAddress"}


def report(objects: Sequence[Object], events: Sequence[Object], requests: Sequence[Request]) -> str:
    """Three lists; what is too much is counted."""
    shown = [
        one for one in objects if one["kind"] not in SILENT and (one["kind"], one["metadata"]["name"]) not in ORDINARY
    ]
    shown.sort(key=lambda one: "namespace" not in one["metadata"])  # what a test makes is in namespaces, mostly
    parts = [
        *_part("objects that changed", [_object(one) for one in shown[:OBJECTS]], len(shown) - OBJECTS),
        *_part("events", [_event(one) for one in events[-EVENTS:]], len(events) - EVENTS),
        *_part("requests", lines(requests, REQUESTS), len(requests) - REQUESTS),
    ]
    return "\n".join(line if len(line) <= WIDTH else f"{line[: WIDTH - 3]}..." for line in parts)


def _part(title: str, lines: list[str], more: int) -> list[str]:
    if not lines:
        return [f"{title}: none"]
    return [f"{title}:", *(f"  {line}" for line in lines), *([f"  and {more} more"] if more > 0 else [])]


def _object(obj: Object) -> str:
    metadata: dict[str, Any] = obj["metadata"]
    place = "/".join(part for part in (metadata.get("namespace"), metadata["name"]) if part)
    return f"{obj['kind']} {place}  {summary(obj)}".rstrip()


def _event(event: Object) -> str:
    about = event.get("involvedObject") or {}
    place = "/".join(part for part in (about.get("namespace"), about.get("name")) if part)
    return f"{event.get('type')} {event.get('reason')} {about.get('kind')} {place}: {event.get('message')}"
