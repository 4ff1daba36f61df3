"""Objects of requests and answers as audit events hold them: JSON in one line, whatever form they came in. Pure."""

from __future__ import annotations

from typing import Any

import msgspec

from pybernetes.api import protobuf
from pybernetes.api.errors import StatusError
from pybernetes.api.protowire import ProtobufError
from pybernetes.wire.http import Request, Response

from ..endpoints import negotiate

STATUS_JSON = b'{"kind":"Status"'
STATUS_PROTOBUF = b"Status"
UNREADABLE = (ValueError, TypeError, msgspec.MsgspecError, ProtobufError, RecursionError)
_decode, _encode = msgspec.json.Decoder().decode, msgspec.json.Encoder().encode


def of_request(request: Request, omit_managed_fields: bool) -> bytes | None:
    """What was sent; None for nothing, or what cannot be read."""
    if not request.body:
        return None
    media = (request.header("content-type") or "").split(";")[0].strip().lower()
    try:
        if media in (negotiate.YAML, "application/apply-patch+yaml"):
            return _plain(_encode(negotiate.yaml_document(request.body)), omit_managed_fields)
        if media == negotiate.PROTOBUF:
            return _plain(negotiate.json_body(request, ""), omit_managed_fields)
        return _plain(request.body, omit_managed_fields)
    except (*UNREADABLE, StatusError):  # a request that was refused for it
        return None


def of_response(response: Response, omit_managed_fields: bool) -> bytes | None:
    """What was answered; None for what is no object."""
    media = _media(response)
    try:
        if media == negotiate.PROTOBUF:
            return _plain(_encode(protobuf.decode(response.body)), omit_managed_fields)
        if media == negotiate.YAML:
            return _plain(_encode(negotiate.yaml_document(response.body)), omit_managed_fields)
        return _plain(response.body, omit_managed_fields) if media == negotiate.JSON else None
    except UNREADABLE:
        return None


def status_of(response: Response) -> dict[str, Any] | None:
    """The Status that was answered, if it is one."""
    body = response.body
    if body.startswith(STATUS_JSON):
        return _object(body)
    if body.startswith(protobuf.MAGIC) and STATUS_PROTOBUF in body[:32]:
        try:
            told: dict[str, Any] = protobuf.decode(body)
        except UNREADABLE:
            return None
        return told if told.get("kind") == "Status" else None
    return None


def _object(body: bytes) -> dict[str, Any] | None:
    try:
        told = _decode(body)
    except UNREADABLE:
        return None
    return told if isinstance(told, dict) else None


def _media(response: Response) -> str:
    value = next((value for name, value in response.headers if name.lower() == "content-type"), "")
    return value.split(";")[0].strip().lower()


def _plain(body: bytes, omit_managed_fields: bool) -> bytes:
    """One of UNREADABLE for what is no JSON."""
    if not omit_managed_fields or b'"managedFields"' not in body:
        return msgspec.json.format(body, indent=-1)
    told = _decode(body)
    _strip(told)
    for item in told.get("items") or () if isinstance(told, dict) else ():
        _strip(item)
    for row in told.get("rows") or () if isinstance(told, dict) else ():
        _strip(row.get("object") if isinstance(row, dict) else None)
    return _encode(told)


def _strip(one: Any) -> None:
    if isinstance(one, dict) and isinstance(one.get("metadata"), dict):
        one["metadata"].pop("managedFields", None)
