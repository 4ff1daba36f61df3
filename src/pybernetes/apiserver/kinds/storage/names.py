"""Names and parameters that kinds of storage share (upstream: pkg/apis/storage/validation, core ValidateCSIDriverName)."""

from __future__ import annotations

from collections.abc import Mapping

from pybernetes.api import field
from pybernetes.api.field import Path
from pybernetes.api.names import dns1123_subdomain_errors, label_key_errors

from ..validation import Errors, each

MAX_DRIVER_NAME = 63
MAX_PARAMETERS = 512
MAX_PARAMETERS_SIZE = 256 * 1024


def driver_name(path: Path, name: str) -> Errors:
    """Of a CSI driver."""
    errors = [] if name else [field.required(path)]
    if len(name.encode()) > MAX_DRIVER_NAME:
        errors.append(field.too_long(path, MAX_DRIVER_NAME))
    return errors + each(path, name, dns1123_subdomain_errors(name.lower()))


def provisioner(path: Path, name: str) -> Errors:
    """A qualified name, capitals allowed."""
    return each(path, name, label_key_errors(name.lower())) if name else [field.required(path)]


def parameters(path: Path, values: Mapping[str, str] | None, *, needed: bool = False) -> Errors:
    """What is handed to a driver."""
    values = values or {}
    if len(values) > MAX_PARAMETERS:
        return [field.too_long(path, MAX_PARAMETERS)]
    errors = [field.invalid(path, key, "field can not be empty.") for key in values if not key]
    if sum(len(key.encode()) + len(value.encode()) for key, value in values.items()) > MAX_PARAMETERS_SIZE:
        errors.append(field.too_long(path, MAX_PARAMETERS_SIZE))
    if needed and not values:
        errors.append(field.required(path, "must contain at least one key/value pair"))
    return errors
