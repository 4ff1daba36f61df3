"""certificates.k8s.io/v1beta1 (until 1.22): the signer is told from what is asked for, and less is checked.

Upstream: pkg/apis/certificates/v1beta1/defaults.go, pkg/apis/certificates/{helpers.go,validation}.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence

from pybernetes.api.wellknown import (
    KUBE_API_SERVER_CLIENT_KUBELET_SIGNER,
    KUBELET_SERVING_SIGNER,
    LEGACY_UNKNOWN_SIGNER,
    NODE_USER_PREFIX,
    NODES_GROUP,
)

from ...resource import Errors, Object, Part
from ..versions import Family, family, older
from . import certificatesigningrequest as v1

DEFAULT_USAGES = ("digital signature", "key encipherment")
CLIENT_USAGES, SERVER_USAGES = {*DEFAULT_USAGES, "client auth"}, {*DEFAULT_USAGES, "server auth"}


def default(request: Object) -> None:
    """Usages, the signer, and that a condition holds that does not say so."""
    spec = request.setdefault("spec", {})
    if spec.get("usages") is None:
        spec["usages"] = list(DEFAULT_USAGES)
    if spec.get("signerName") is None:
        spec["signerName"] = signer_of(spec.get("request") or "", spec["usages"])
    for condition in (request.get("status") or {}).get("conditions") or ():
        condition["status"] = condition.get("status") or "True"


def signer_of(request: str, usages: Sequence[str]) -> str:
    """Who signs such a request (base64 of PEM): kubelets have signers of their own."""
    from cryptography import x509  # with the first request only
    from cryptography.x509.oid import NameOID

    try:
        parsed = x509.load_pem_x509_csr(base64.b64decode(request))
        organizations = [str(a.value) for a in parsed.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)]
        names = [str(a.value) for a in parsed.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
        others = list(parsed.extensions.get_extension_for_class(x509.SubjectAlternativeName).value)
    except x509.ExtensionNotFound:
        others = []
    except (ValueError, binascii.Error):
        return LEGACY_UNKNOWN_SIGNER
    if organizations != [NODES_GROUP] or not (names and names[-1].startswith(NODE_USER_PREFIX)):
        return LEGACY_UNKNOWN_SIGNER
    if not others:
        return KUBE_API_SERVER_CLIENT_KUBELET_SIGNER if set(usages) == CLIENT_USAGES else LEGACY_UNKNOWN_SIGNER
    serving = all(isinstance(other, x509.DNSName | x509.IPAddress) for other in others)
    return KUBELET_SERVING_SIGNER if serving and set(usages) == SERVER_USAGES else LEGACY_UNKNOWN_SIGNER


def validate(request: Object) -> Errors:
    """Of usages only that there are some; the signer may be the one that nobody knows."""
    spec = request.get("spec") or {}
    lenient = {**spec, "usages": [usage for usage in dict.fromkeys(spec.get("usages") or ()) if usage in v1.USAGES]}
    if spec.get("usages") and not lenient["usages"]:
        lenient["usages"] = [v1.USAGES[0]]
    if spec.get("signerName") == LEGACY_UNKNOWN_SIGNER:
        lenient["signerName"] = KUBELET_SERVING_SIGNER
    return v1.validate({**request, "spec": lenient})


def validate_update(new: Object, old: Object) -> Errors:
    """Through the main path nothing but metadata changes."""
    return v1.changed(new, old, lenient=True)


def validate_status(new: Object, old: Object) -> Errors:
    """The signer may change its mind."""
    return v1.changed(new, old, signs=True, lenient=True)


def validate_approval(new: Object, old: Object) -> Errors:
    """The approver's word."""
    return v1.changed(new, old, decides=True, lenient=True)


FAMILIES: tuple[Family, ...] = (
    family(
        v1.RESOURCE,
        older(
            v1.RESOURCE,
            "certificates.v1beta1",
            default=default,
            validate=validate,
            validate_update=validate_update,
            validate_status=validate_status,
            parts={"approval": Part(v1.prepare_approval, validate_approval)},
        ),
    ),
)
