"""ClusterTrustBundle of certificates.k8s.io/v1 (upstream: pkg/registry/certificates/clustertrustbundle)."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pybernetes.api import field
from pybernetes.api.field import Path

from ...resource import Column, Errors, Object, Resource
from ..printing import NAME
from ..validation import immutable
from . import pem
from .signername import signer_name

SPEC = Path("spec")
MAX_SIZE = 1 << 20


def validate(bundle: Object) -> Errors:
    """ValidateClusterTrustBundle."""
    spec = bundle.get("spec") or {}
    return _name(bundle, spec.get("signerName") or "") + _bundle(spec.get("trustBundle") or "")


def _name(bundle: Object, signer: str) -> Errors:
    """Bundles of a signer begin with its name; those of none have no colon."""
    name, at = (bundle.get("metadata") or {}).get("name") or "", Path("metadata.name")
    if not signer:
        why = 'ClusterTrustBundle without signer name must not have ":" in its name'
        return [field.invalid(at, name, why)] if ":" in name else []
    errors = signer_name(SPEC / "signerName", signer)
    prefix = signer.replace("/", ":") + ":"
    if not name.startswith(prefix):
        why = f"ClusterTrustBundle for signerName {signer} must be named with prefix {prefix}"
        errors.append(field.invalid(at, name, why))
    return errors


def _bundle(text: str) -> Errors:
    at = SPEC / "trustBundle"
    if len(text.encode()) > MAX_SIZE:
        return [field.too_long(at, MAX_SIZE)]
    why = pem.certificates_error(base64.b64encode(text.encode()).decode())
    return [field.invalid(at, "<value omitted>", why)] if why else []


def validate_update(new: Object, old: Object) -> Errors:
    """The signer stays."""
    after, before = ((o.get("spec") or {}).get("signerName") or "" for o in (new, old))
    return validate(new) + immutable(SPEC / "signerName", after, before)


def selectable(bundle: Object) -> Mapping[str, str]:
    """Whose it is."""
    return {"spec.signerName": (bundle.get("spec") or {}).get("signerName") or ""}


def row(bundle: Object, now: datetime) -> list[Any]:
    """Name, SignerName."""
    return [bundle["metadata"]["name"], (bundle.get("spec") or {}).get("signerName") or "<none>"]


RESOURCE = Resource(
    group="certificates.k8s.io",
    version="v1",
    name="clustertrustbundles",
    kind="ClusterTrustBundle",
    schema="io.k8s.api.certificates.v1.ClusterTrustBundle",
    namespaced=False,
    name_check="path",
    generation=False,
    allow_unconditional_update=False,
    validate=validate,
    validate_update=validate_update,
    selectable=selectable,
    selectable_fields=("spec.signerName",),
    columns=(NAME, Column("SignerName", description="The signer whose certificates these are")),
    row=row,
)
