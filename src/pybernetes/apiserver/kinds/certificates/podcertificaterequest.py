"""PodCertificateRequest of certificates.k8s.io/v1 (upstream: pkg/registry/certificates/podcertificaterequest)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pybernetes.api import field
from pybernetes.api.field import Path

from ...resource import Column, Errors, Object, Resource
from ..conditions import validate_conditions
from ..printing import NAME
from ..strategy import keep_spec, keep_status
from ..validation import dns_subdomain, immutable
from .signername import signer_name

SPEC, STATUS = Path("spec"), Path("status")
NAMES = ("podName", "serviceAccountName", "nodeName")
UIDS = ("podUID", "serviceAccountUID", "nodeUID")
MIN_SECONDS, MAX_SECONDS = 3600, 91 * 86400
STATES = ("Issued", "Denied", "Failed")


def default(request: Object) -> None:
    """A day."""
    spec = request.setdefault("spec", {})
    if spec.get("maxExpirationSeconds") is None:
        spec["maxExpirationSeconds"] = 86400


def prepare_create(request: Object) -> None:
    """Nobody has signed it."""
    request["status"] = {}


def validate(request: Object) -> Errors:
    """ValidatePodCertificateRequestCreate, as far as one can see without the pod."""
    spec = request.get("spec") or {}
    errors = signer_name(SPEC / "signerName", spec.get("signerName") or "")
    for name in NAMES:
        errors += dns_subdomain(SPEC / name, spec.get(name) or "")
    errors += [field.required(SPEC / name) for name in UIDS if not spec.get(name)]
    seconds, at = spec.get("maxExpirationSeconds") or 0, SPEC / "maxExpirationSeconds"
    if not MIN_SECONDS <= seconds <= MAX_SECONDS:
        why = f"must be in the range [{MIN_SECONDS}, {MAX_SECONDS}]"
        errors.append(field.invalid(at, seconds, why))
    if not spec.get("stubPKCS10Request"):
        errors.append(field.required(SPEC / "stubPKCS10Request"))
    return errors


def validate_update(new: Object, old: Object) -> Errors:
    """The spec stays."""
    return immutable(SPEC, new.get("spec"), old.get("spec"))


def validate_status(new: Object, old: Object) -> Errors:
    """One final condition, and nothing after it."""
    status, before = new.get("status") or {}, old.get("status") or {}
    errors = validate_conditions(STATUS / "conditions", status.get("conditions") or ())
    final = [c for c in status.get("conditions") or () if c.get("type") in STATES]
    if len(final) > 1:
        why = 'There may be at most one condition with type "Issued", "Denied", or "Failed"'
        errors.append(field.invalid(STATUS / "conditions", [c["type"] for c in final], why))
    if any(c.get("type") in STATES for c in before.get("conditions") or ()):
        errors += immutable(STATUS, status, before)
    return errors


def selectable(request: Object) -> Mapping[str, str]:
    """Who shall sign, and for which pod."""
    spec = request.get("spec") or {}
    return {f"spec.{name}": spec.get(name) or "" for name in ("signerName", "podName", "nodeName")}


def row(request: Object, now: datetime) -> list[Any]:
    """Name, PodName, ServiceAccountName, NodeName, SignerName, State."""
    spec = request.get("spec") or {}
    kinds = {c.get("type") for c in (request.get("status") or {}).get("conditions") or ()}
    state = next((name for name in STATES if name in kinds), "Pending")
    shown = [spec.get(name) or "" for name in (*NAMES, "signerName")]
    return [request["metadata"]["name"], *shown, state]


RESOURCE = Resource(
    group="certificates.k8s.io",
    version="v1",
    name="podcertificaterequests",
    kind="PodCertificateRequest",
    schema="io.k8s.api.certificates.v1.PodCertificateRequest",
    status=True,
    generation=False,
    default=default,
    prepare_create=prepare_create,
    prepare_update=keep_status,
    prepare_status=keep_spec,
    allow_unconditional_update=False,
    validate=validate,
    validate_update=validate_update,
    validate_status=validate_status,
    selectable=selectable,
    selectable_fields=("spec.signerName", "spec.podName", "spec.nodeName"),
    columns=(
        NAME,
        Column("PodName", description="The pod that the certificate is for"),
        Column("ServiceAccountName", description="The pod's account"),
        Column("NodeName", description="The pod's node"),
        Column("SignerName", description="Which signer shall sign"),
        Column("State", description="What became of it"),
    ),
    row=row,
)
