"""Certificates in projected volumes: trust bundles and a pod's own (upstream: core validation, validateProjectionSources)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pybernetes.api import field
from pybernetes.api.field import Path
from pybernetes.api.names import dns1123_subdomain_errors

from ..certificates.signername import signer_name
from ..validation import Errors, label_selector, unreserved_path

Object = Mapping[str, Any]

KEY_TYPES = ("ECDSAP256", "ECDSAP384", "ECDSAP521", "ED25519", "RSA3072", "RSA4096")
CERTIFICATE_PATHS = ("credentialBundlePath", "keyPath", "certificateChainPath")
MIN_SECONDS = 3600
MAX_SECONDS, KUBERNETES_MAX_SECONDS = 91 * 86400, 86400  # the signers of kubernetes.io are stricter


def trust_bundle(path: Path, source: Object) -> Errors:
    """By name or by signer."""
    errors: Errors = []
    name, signer = source.get("name"), source.get("signerName")
    if name is not None and signer is not None:
        errors.append(field.invalid(path, source, "only one of name and signerName may be used"))
    elif name is not None:
        if not name:
            errors.append(field.required(path / "name", "must be a valid object name"))
        # Of a signer's bundles the part after the last colon, and else the whole, is a name as of every object.
        whys = dns1123_subdomain_errors(name.rpartition(":")[2])
        errors += [field.invalid(path / "name", name, f"not a valid clustertrustbundlename: {why}") for why in whys]
        if (selector := source.get("labelSelector")) is not None:
            why = "labelSelector must be unset if name is specified"
            errors.append(field.invalid(path / "labelSelector", selector, why))
    elif signer is not None:
        if not signer:
            errors.append(field.required(path / "signerName", "must be a valid signer name"))
        errors += signer_name(path / "signerName", signer)
        errors += label_selector(path / "labelSelector", source.get("labelSelector"))
    else:
        errors.append(field.required(path, "either name or signerName must be specified"))
    target = source.get("path") or ""
    if not target:
        errors.append(field.required(path / "path"))
    return errors + unreserved_path(path / "path", target)


def pod_certificate(path: Path, source: Object) -> Errors:
    """A key made for the pod, and its certificate."""
    signer, key_type = source.get("signerName") or "", source.get("keyType") or ""
    errors = signer_name(path / "signerName", signer)
    if key_type not in KEY_TYPES:
        errors.append(field.not_supported(path / "keyType", key_type, KEY_TYPES))
    seconds, at = source.get("maxExpirationSeconds"), path / "maxExpirationSeconds"
    if seconds is not None:
        domain = signer.partition("/")[0]
        most = KUBERNETES_MAX_SECONDS if f".{domain}".endswith(".kubernetes.io") else MAX_SECONDS
        if seconds < MIN_SECONDS:
            errors.append(field.invalid(at, seconds, f"if provided, maxExpirationSeconds must be >= {MIN_SECONDS}"))
        if seconds > most:
            errors.append(field.invalid(at, seconds, f"if provided, maxExpirationSeconds must be <= {most}"))
    given = [name for name in CERTIFICATE_PATHS if source.get(name)]
    for name in given:
        errors += unreserved_path(path / name, source[name])
    if not given:
        why = "specify at least one of credentialBundlePath, keyPath, and certificateChainPath"
        errors.append(field.required(path, why))
    return errors
