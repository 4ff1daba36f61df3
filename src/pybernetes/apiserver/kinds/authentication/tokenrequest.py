"""TokenRequest of authentication.k8s.io/v1: the body of serviceaccounts/NAME/token (upstream: pkg/apis/authentication)."""

from __future__ import annotations

from pybernetes.api import field
from pybernetes.api.field import Path

from ...resource import Errors, Object, Resource

DEFAULT_SECONDS = 3600
MIN_SECONDS = 10 * 60
MAX_SECONDS = 1 << 32


def default(request: Object) -> None:
    """An hour."""
    spec = request.setdefault("spec", {})
    if spec.get("expirationSeconds") is None:
        spec["expirationSeconds"] = DEFAULT_SECONDS


def validate(request: Object) -> Errors:
    """Of how long it shall live."""
    path, seconds = Path("spec") / "expirationSeconds", request["spec"]["expirationSeconds"]
    if seconds < MIN_SECONDS:
        return [field.invalid(path, seconds, "may not specify a duration less than 10 minutes")]
    if seconds > MAX_SECONDS:
        return [field.invalid(path, seconds, "may not specify a duration larger than 2^32 seconds")]
    return []


RESOURCE = Resource(
    group="authentication.k8s.io",
    version="v1",
    name="tokenrequests",
    kind="TokenRequest",
    schema="io.k8s.api.authentication.v1.TokenRequest",
    verbs=("create",),
    default=default,
    validate=validate,
)
