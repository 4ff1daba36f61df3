"""Names of signers: example.com/signer-name (upstream: pkg/apis/core/validation, ValidateSignerName)."""

from __future__ import annotations

from collections.abc import Callable

from pybernetes.api import field
from pybernetes.api.field import Path
from pybernetes.api.names import dns1123_label_errors, dns1123_subdomain_errors

from ..validation import Errors

MAX_DOMAIN = 253
MAX_NAME = MAX_DOMAIN + 253 + 63 + 1 + 1  # the path must leave room for namespace and name of an object


def signer_name(path: Path, name: str) -> Errors:
    """A domain, a slash, and names with dots between."""
    if not name:
        return [field.required(path)]
    parts = name.split("/")
    if len(parts) != 2:
        why = "must be a fully qualified domain and path of the form 'example.com/signer-name'"
        return [field.invalid(path, name, why)]
    domain, rest = parts
    errors: Errors = []
    if len(domain) > MAX_DOMAIN:
        errors.append(field.too_long(path, MAX_DOMAIN))
    errors += _labels(path, domain, dns1123_label_errors)
    if "." not in domain:
        errors.append(field.invalid(path, domain, "should be a domain with at least two segments separated by dots"))
    errors += _labels(path, rest, dns1123_subdomain_errors)
    if len(name) > MAX_NAME:
        errors.append(field.too_long(path, MAX_NAME))
    return errors


def _labels(path: Path, text: str, check: Callable[[str], list[str]]) -> Errors:
    """Of the labels between the dots only the first bad one is named."""
    for label in text.split("."):
        if whys := check(label):
            return [field.invalid(path, text, f"validating label {field.quote(label)}: {why}") for why in whys]
    return []
