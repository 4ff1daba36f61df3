"""CertificateSigningRequest of certificates.k8s.io/v1 (upstream: pkg/registry/certificates/certificates, pkg/apis/certificates)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pybernetes.api import field, times
from pybernetes.api.field import Path
from pybernetes.api.wellknown import LEGACY_UNKNOWN_SIGNER

from ...resource import Column, Errors, Object, Part, Resource, Stamp
from ..printing import AGE, NAME, human_duration, object_age
from ..strategy import keep, keep_spec
from . import pem
from .signername import signer_name

SPEC, STATUS = Path("spec"), Path("status")
CONDITIONS, CERTIFICATE = STATUS / "conditions", STATUS / "certificate"
MIN_SECONDS = 600
DECISIONS = ("Approved", "Denied")
FINAL = (*DECISIONS, "Failed")
USER_FIELDS = ("username", "uid", "groups", "extra")
USAGES = (
    "any",
    "cert sign",
    "client auth",
    "code signing",
    "content commitment",
    "crl sign",
    "data encipherment",
    "decipher only",
    "digital signature",
    "email protection",
    "encipher only",
    "ipsec end system",
    "ipsec tunnel",
    "ipsec user",
    "key agreement",
    "key encipherment",
    "microsoft sgc",
    "netscape sgc",
    "ocsp signing",
    "s/mime",
    "server auth",
    "signing",
    "timestamping",
)


# --- strategy -----------------------------------------------------------------------------------


def prepare_create(request: Object) -> None:
    """Nobody has decided; who asks is not for the client to say."""
    request["status"] = {}
    for name in USER_FIELDS:
        request["spec"].pop(name, None)


def prepare_update(new: Object, old: Object) -> None:
    """What was asked for and what was decided stays."""
    keep(new, old, "spec", "status")


def prepare_approval(new: Object, old: Object) -> None:
    """The conditions, nothing else."""
    conditions = (new.get("status") or {}).get("conditions")
    keep(new, old, "spec", "status")
    status = dict(new.get("status") or {})
    status.pop("conditions", None)
    new["status"] = status | ({"conditions": conditions} if conditions else {})


def stamp(new: Object, old: Object | None, by: Stamp) -> None:
    """Who asks; and when conditions were set."""
    if old is None:
        user = by.user
        spec = new["spec"]
        spec["username"] = user.name
        if user.uid:
            spec["uid"] = user.uid
        if user.groups:
            spec["groups"] = list(user.groups)
        if user.extra:
            spec["extra"] = {key: list(values) for key, values in user.extra.items()}
    elif by.subresource:
        before = (old.get("status") or {}).get("conditions") or ()
        now = times.format_time(by.now)
        for condition in (new.get("status") or {}).get("conditions") or ():
            condition["lastUpdateTime"] = condition.get("lastUpdateTime") or now
            if not condition.get("lastTransitionTime"):
                condition["lastTransitionTime"] = _since(condition, before) or now


def _since(condition: Mapping[str, Any], before: Any) -> str | None:
    for previous in before:
        if all(previous.get(name) == condition.get(name) for name in ("type", "status")):
            when: str | None = previous.get("lastTransitionTime")
            if when:
                return when
    return None


# --- validation ---------------------------------------------------------------------------------


def validate(request: Object) -> Errors:
    """ValidateCertificateSigningRequestCreate."""
    spec = request.get("spec") or {}
    errors: Errors = []
    if why := pem.request_error(spec.get("request") or ""):
        errors.append(field.invalid(SPEC / "request", spec.get("request") or "", why))
    usages, at = spec.get("usages") or (), SPEC / "usages"
    if not usages:
        errors.append(field.required(at, "usages must be provided"))
    for index, usage in enumerate(usages):
        if usage not in USAGES:
            errors.append(field.not_supported(at / index, usage, USAGES))
    errors += [field.duplicate(at / i, usage) for i, usage in field.repeats(usages)]
    if spec.get("signerName") == LEGACY_UNKNOWN_SIGNER:
        why = "the legacy signerName is not allowed via this API version"
        errors.append(field.invalid(SPEC / "signerName", spec["signerName"], why))
    else:
        errors += signer_name(SPEC / "signerName", spec.get("signerName") or "")
    seconds = spec.get("expirationSeconds")
    if seconds is not None and seconds < MIN_SECONDS:
        why = "may not specify a duration less than 600 seconds (10 minutes)"
        errors.append(field.invalid(SPEC / "expirationSeconds", seconds, why))
    return errors


def _conditions(status: Mapping[str, Any], lenient: bool) -> Errors:
    errors: Errors = []
    seen: set[str] = set()
    for index, condition in enumerate(status.get("conditions") or ()):
        at, kind = CONDITIONS / index, condition.get("type") or ""
        if not kind and not lenient:
            errors.append(field.required(at / "type"))
        allowed = ("True",) if kind in FINAL else ("False", "True", "Unknown")
        value = condition.get("status") or ""
        if not value:
            errors.append(field.required(at / "status"))
        elif value not in allowed:
            errors.append(field.not_supported(at / "status", value, allowed))
        if kind in DECISIONS and seen & ({*DECISIONS} - {kind}):
            why = "Approved and Denied conditions are mutually exclusive"
            errors.append(field.invalid(at / "type", kind, why))
        if kind in seen and not lenient:
            errors.append(field.duplicate(at / "type", kind))
        seen.add(kind)
    return errors


def _of_type(obj: Object, kind: str) -> list[Any]:
    return [c for c in (obj.get("status") or {}).get("conditions") or () if c.get("type") == kind]


def changed(new: Object, old: Object, decides: bool = False, signs: bool = False, lenient: bool = False) -> Errors:
    """What the way of the write may not change. `lenient`: as v1beta1, whose certificates and types of conditions are not looked at."""
    status, before = new.get("status") or {}, old.get("status") or {}
    errors = _conditions(status, lenient)
    certificate, had = status.get("certificate") or "", before.get("certificate") or ""
    if certificate and certificate != had and not lenient and (why := pem.certificates_error(certificate)):
        errors.append(field.invalid(CERTIFICATE, "<certificate data>", why))
    counts = {kind: (_of_type(new, kind), _of_type(old, kind)) for kind in FINAL}
    for kind, (now, then) in counts.items():
        if len(now) < len(then):
            errors.append(
                field.forbidden(CONDITIONS, f"updates may not remove a condition of type {field.quote(kind)}")
            )
    for kind in () if decides else DECISIONS:
        now, then = counts[kind]
        verb = "add" if len(now) > len(then) else "modify" if len(now) == len(then) and now != then else ""
        if verb:
            errors.append(
                field.forbidden(CONDITIONS, f"updates may not {verb} a condition of type {field.quote(kind)}")
            )
    if certificate != had:
        if not signs:
            errors.append(field.forbidden(CERTIFICATE, "updates may not set certificate content"))
        elif had and not lenient:
            errors.append(field.forbidden(CERTIFICATE, "updates may not modify existing certificate content"))
    return errors


def validate_update(new: Object, old: Object) -> Errors:
    """Through the main path nothing but metadata changes."""
    return changed(new, old)


def validate_status(new: Object, old: Object) -> Errors:
    """The signer's word: the certificate, or that it failed."""
    return changed(new, old, signs=True)


def validate_approval(new: Object, old: Object) -> Errors:
    """The approver's word."""
    return changed(new, old, decides=True)


# --- table --------------------------------------------------------------------------------------


def _state(request: Object) -> str:
    kinds = {c.get("type") for c in (request.get("status") or {}).get("conditions") or ()}
    state = "Denied" if "Denied" in kinds else "Approved" if "Approved" in kinds else "Pending"
    if "Failed" in kinds:
        state += ",Failed"
    return state + (",Issued" if (request.get("status") or {}).get("certificate") else "")


def row(request: Object, now: datetime) -> list[Any]:
    """Name, Age, SignerName, Requestor, RequestedDuration, Condition."""
    spec = request.get("spec") or {}
    seconds = spec.get("expirationSeconds")
    return [
        request["metadata"]["name"],
        object_age(request, now),
        spec.get("signerName") or "<none>",
        spec.get("username") or "",
        "<none>" if seconds is None else human_duration(seconds),
        _state(request),
    ]


def selectable(request: Object) -> Mapping[str, str]:
    """Who shall sign."""
    return {"spec.signerName": (request.get("spec") or {}).get("signerName") or ""}


RESOURCE = Resource(
    group="certificates.k8s.io",
    version="v1",
    name="certificatesigningrequests",
    kind="CertificateSigningRequest",
    schema="io.k8s.api.certificates.v1.CertificateSigningRequest",
    meta_again=1,
    namespaced=False,
    short_names=("csr",),
    name_check="path",
    status=True,
    generation=False,
    parts={"approval": Part(prepare_approval, validate_approval)},
    subresources=("approval",),
    prepare_create=prepare_create,
    prepare_update=prepare_update,
    prepare_status=keep_spec,
    stamp=stamp,
    validate=validate,
    validate_update=validate_update,
    validate_status=validate_status,
    selectable=selectable,
    selectable_fields=("spec.signerName",),
    columns=(
        NAME,
        AGE,
        Column("SignerName", description="Which signer shall sign"),
        Column("Requestor", description="Who asks"),
        Column("RequestedDuration", description="For how long the certificate shall be valid"),
        Column("Condition", description="What was decided, and whether it was signed"),
    ),
    row=row,
)
