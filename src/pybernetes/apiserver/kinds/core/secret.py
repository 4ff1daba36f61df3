"""Secret of v1 (upstream: pkg/registry/core/secret, core validation)."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pybernetes.api import field
from pybernetes.api.field import Path
from pybernetes.api.gosyntax import syntax_error
from pybernetes.api.wellknown import SECRET_TYPE_SERVICE_ACCOUNT_TOKEN, SERVICE_ACCOUNT_NAME_KEY

from ...resource import Column, Errors, Object, Resource
from ..printing import AGE, NAME, object_age
from ..validation import immutable
from .configmap import MAX_SIZE, decoded_size, immutable_errors, key_errors

DATA = Path("data")
_JSON_KEYS = {
    "kubernetes.io/dockercfg": ".dockercfg",
    "kubernetes.io/dockerconfigjson": ".dockerconfigjson",
}


# First byte -> what Go calls it; "": it takes that for a map.
_KINDS = {b"{": "", b"n": "", b"[": "array", b'"': "string", b"t": "bool", b"f": "bool"}


def default(secret: Object) -> None:
    """Plain strings are written into data; the type is Opaque."""
    if strings := secret.pop("stringData", None):
        data = secret.setdefault("data", {})
        for key, text in strings.items():
            data[key] = base64.b64encode(text.encode()).decode()
    secret["type"] = secret.get("type") or "Opaque"


def validate(secret: Object) -> Errors:
    """Keys, size, and what the type requires."""
    data = secret.get("data") or {}
    errors = key_errors(DATA, data)
    if sum(decoded_size(text) for text in data.values()) > MAX_SIZE:
        errors.append(field.too_long(DATA, MAX_SIZE))
    kind = secret.get("type") or ""
    if kind == SECRET_TYPE_SERVICE_ACCOUNT_TOKEN:
        annotations = (secret.get("metadata") or {}).get("annotations") or {}
        if not annotations.get(SERVICE_ACCOUNT_NAME_KEY):
            errors.append(field.required(Path("metadata.annotations").key(SERVICE_ACCOUNT_NAME_KEY)))
    elif kind in _JSON_KEYS:
        errors += _json(DATA.key(_JSON_KEYS[kind]), data.get(_JSON_KEYS[kind]))
    elif kind == "kubernetes.io/basic-auth":
        if "username" not in data and "password" not in data:
            errors += [field.required(DATA.key("username")), field.required(DATA.key("password"))]
    elif kind == "kubernetes.io/ssh-auth":
        if not data.get("ssh-privatekey"):
            errors.append(field.required(DATA.key("ssh-privatekey")))
    elif kind == "kubernetes.io/tls":
        errors += [field.required(DATA.key(key)) for key in ("tls.crt", "tls.key") if key not in data]
    return errors


def _json(path: Path, text: str | None) -> Errors:
    if text is None:
        return [field.required(path)]
    document = base64.b64decode(text)
    why = syntax_error(document)
    if not why and (kind := _KINDS.get(document.lstrip()[:1], "number")):
        why = f"json: cannot unmarshal {kind} into Go value of type map[string]interface {{}}"
    return [field.invalid(path, "<secret contents redacted>", why)] if why else []


def validate_update(new: Object, old: Object) -> Errors:
    """The type stays, and so does what is marked immutable."""
    errors = immutable(Path("type"), new.get("type"), old.get("type"))
    return errors + immutable_errors(new, old, "data") + validate(new)


def selectable(secret: Object) -> Mapping[str, str]:
    """The type."""
    return {"type": secret.get("type") or ""}


def row(secret: Object, now: datetime) -> list[Any]:
    """Name, Type, Data, Age."""
    return [
        secret["metadata"]["name"],
        secret.get("type") or "",
        len(secret.get("data") or {}),
        object_age(secret, now),
    ]


RESOURCE = Resource(
    group="",
    version="v1",
    name="secrets",
    kind="Secret",
    schema="io.k8s.api.core.v1.Secret",
    meta_again=1,
    generation=False,
    default=default,
    validate=validate,
    validate_update=validate_update,
    selectable=selectable,
    selectable_fields=("type",),
    columns=(NAME, Column("Type"), Column("Data"), AGE),
    row=row,
)
