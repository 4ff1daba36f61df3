"""An audit event at one stage as audit.k8s.io/v1 Event: JSON as upstream writes it, or a line of text (upstream: apiserver/pkg/audit/format.go,
request.go). Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from pybernetes.api import field, gojson, times

from ..audit import TRUNCATED_OBJECT, AuditEvent, Level, Stage
from ..authentication.user import User

HEAD = b'{"kind":"Event","apiVersion":"audit.k8s.io/v1",'
LIST_HEAD, LIST_END = b'{"kind":"EventList","apiVersion":"audit.k8s.io/v1","metadata":{},"items":[', b"]}"
OBJECTS = ("requestObject", "responseObject")

_encode = msgspec.json.Encoder().encode


class Record:
    """One stage of one request. It does not change any more, whatever becomes of the request."""

    __slots__ = ("_fields", "_json", "level", "line")

    def __init__(self, event: AuditEvent, *, line: bool) -> None:
        """`line`: somebody wants the text, too."""
        self._fields = fields(event)
        self._json: bytes | None = None
        self.level = event.decision.level
        self.line = legacy(event) if line else ""

    @property
    def json(self) -> bytes:
        """As an item of an EventList."""
        if self._json is None:
            self._json = gojson.escaped(_encode(self._fields))
        return self._json

    @property
    def alone(self) -> bytes:
        """As a document of its own, with the end of a line."""
        return HEAD + self.json[1:] + b"\n"

    @property
    def size(self) -> int:
        """Bytes of its JSON, about."""
        return len(HEAD) + len(self.json)

    def truncated(self) -> Record:
        """Without request and response; itself where there are none."""
        if self.level < Level.REQUEST:
            return self
        short = object.__new__(Record)
        short._fields = {name: value for name, value in self._fields.items() if name not in OBJECTS}
        short._fields["annotations"] = {**self._fields.get("annotations", {}), TRUNCATED_OBJECT: "true"}
        short._json, short.level, short.line = None, self.level, self.line
        return short


def event_list(records: list[Record]) -> bytes:
    """The body of a webhook."""
    return LIST_HEAD + b",".join([record.json for record in records]) + LIST_END


def fields(event: AuditEvent) -> dict[str, Any]:
    """In the order in which upstream writes them, without what is empty."""
    level, stage = event.decision.level, event.stage
    received = times.format_micro_time(event.received)
    told: dict[str, Any] = {
        "level": level.word,
        "auditID": event.id,
        "stage": stage.value,
        "requestURI": event.request_uri,
        "verb": event.verb,
        "user": user(event.user) if event.user is not None else {},
    }
    if event.impersonated is not None:
        told["impersonatedUser"] = user(event.impersonated)
    if ips := event.source_ips:
        told["sourceIPs"] = ips
    if agent := event.user_agent:
        told["userAgent"] = agent
    if (ref := event.object_ref) is not None:
        named = {
            "resource": ref.resource,
            "namespace": ref.namespace,
            "name": ref.name,
            "uid": ref.uid,
            "apiGroup": ref.api_group,
            "apiVersion": ref.api_version,
            "resourceVersion": ref.resource_version,
            "subresource": ref.subresource,
        }
        told["objectRef"] = {name: value for name, value in named.items() if value}
    if event.response is not None:
        told["responseStatus"] = {"metadata": {}, **event.response}
    if event.request_object is not None and level >= Level.REQUEST:
        told["requestObject"] = msgspec.Raw(event.request_object)
    if event.response_object is not None and level >= Level.REQUEST_RESPONSE:
        told["responseObject"] = msgspec.Raw(event.response_object)
    told["requestReceivedTimestamp"] = received
    first = stage is Stage.REQUEST_RECEIVED
    told["stageTimestamp"] = received if first else times.format_micro_time(event.stage_time)
    annotations = {**event.annotations, **event.detailed} if level >= Level.REQUEST else event.annotations
    if annotations:
        told["annotations"] = dict(sorted(annotations.items()))
    return told


def user(one: User) -> dict[str, Any]:
    """authentication.k8s.io/v1 UserInfo."""
    told: dict[str, Any] = {"username": one.name}
    if one.uid:
        told["uid"] = one.uid
    if one.groups:
        told["groups"] = one.groups
    if one.extra:
        told["extra"] = dict(sorted(one.extra.items()))
    return told


def legacy(event: AuditEvent) -> str:
    """--audit-log-format=legacy, without the end of the line."""
    who, as_whom, ref, ips = event.user, event.impersonated, event.object_ref, event.source_ips
    told: Mapping[str, str] = {
        "id": event.id,
        "stage": event.stage.value,
        "ip": ips[0] if ips else "<unknown>",
        "method": event.verb,
        "user": who.name if who else "<none>",
        "groups": _listed(who.groups) if who and who.groups else "<none>",
        "as": as_whom.name if as_whom else "<self>",
        "asgroups": _listed(as_whom.groups) if as_whom else "<lookup>",
        "user-agent": event.user_agent,
        "namespace": ref.namespace if ref and ref.namespace else "<none>",
        "uri": event.request_uri,
    }
    moment = event.received.strftime("%Y-%m-%dT%H:%M:%S.%f").rstrip("0").rstrip(".")
    response = str(event.response["code"]) if event.response and "code" in event.response else "<deferred>"
    shown = " ".join(f"{name}={field.quote(value)}" for name, value in told.items())
    return f'{moment}Z AUDIT: {shown} response="{response}"'


def _listed(groups: tuple[str, ...]) -> str:
    return ",".join(field.quote(group) for group in groups)
