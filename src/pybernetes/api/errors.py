"""The errors of the API: a `metav1.Status` as an exception, with upstream's constructors (`apimachinery/pkg/api/errors`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .field import FieldError, aggregate, quote

Status = dict[str, Any]


MAX_CAUSES = 1000  # of one refusal


class StatusError(Exception):
    """An answer other than success. `status` is the whole Status object, as it goes over the wire; `headers` go with it."""

    def __init__(self, status: Status) -> None:
        super().__init__(status.get("message", ""))
        self.status = status
        self.headers: tuple[tuple[str, str], ...] = ()

    @property
    def code(self) -> int:
        """The HTTP status code."""
        return int(self.status.get("code", 500))

    @property
    def reason(self) -> str:
        """NotFound, AlreadyExists, Conflict, Invalid, ...; "" where upstream gives none."""
        return str(self.status.get("reason", ""))


def _error(code: int, reason: str, message: str, details: dict[str, Any] | None = None) -> StatusError:
    status: Status = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": message}
    if reason:
        status["reason"] = reason
    if details is not None:
        status["details"] = {key: value for key, value in details.items() if value not in ("", None, 0, [])}
    status["code"] = code
    return StatusError(status)


def qualified(resource: str, group: str) -> str:
    """`deployments.apps`, `pods`."""
    return f"{resource}.{group}" if group else resource


def not_found(group: str, resource: str, name: str) -> StatusError:
    """404: `pods "a" not found`."""
    details = {"name": name, "group": group, "kind": resource}
    return _error(404, "NotFound", f"{qualified(resource, group)} {quote(name)} not found", details)


def already_exists(group: str, resource: str, name: str) -> StatusError:
    """409 on create."""
    details = {"name": name, "group": group, "kind": resource}
    return _error(409, "AlreadyExists", f"{qualified(resource, group)} {quote(name)} already exists", details)


def conflict(group: str, resource: str, name: str, why: str) -> StatusError:
    """409 on update or delete."""
    message = f"Operation cannot be fulfilled on {qualified(resource, group)} {quote(name)}: {why}"
    return _error(409, "Conflict", message, {"name": name, "group": group, "kind": resource})


def invalid(group: str, kind: str, name: str, errors: Sequence[FieldError]) -> StatusError:
    """422 with a cause for each field error, of which the first MAX_CAUSES are told: nobody reads more, and each may be long."""
    errors = errors[:MAX_CAUSES]
    causes = [{"reason": e.reason, "message": e.body, "field": e.field} for e in errors]
    message = (
        f"{qualified(kind, group)} {quote(name)} is invalid: {aggregate(errors)}"
        if errors
        else f"{qualified(kind, group)} {quote(name)} is invalid"
    )
    return _error(422, "Invalid", message, {"name": name, "group": group, "kind": kind, "causes": causes})


def forbidden(group: str, resource: str, name: str, why: str) -> StatusError:
    """403 by admission or authorization: `pods "a" is forbidden: why`."""
    if not resource:
        message = f"forbidden: {why}"
    elif name:
        message = f"{qualified(resource, group)} {quote(name)} is forbidden: {why}"
    else:
        message = f"{qualified(resource, group)} is forbidden: {why}"
    return _error(403, "Forbidden", message, {"name": name, "group": group, "kind": resource})


def bad_request(message: str) -> StatusError:
    """400."""
    return _error(400, "BadRequest", message)


def unauthorized(message: str = "Unauthorized") -> StatusError:
    """401."""
    return _error(401, "Unauthorized", message)


def method_not_supported(group: str, resource: str, action: str) -> StatusError:
    """405: the resource has no such verb."""
    message = f'{action} is not supported on resources of kind "{qualified(resource, group)}"'
    return _error(405, "MethodNotAllowed", message, {"group": group, "kind": resource})


def not_acceptable(message: str) -> StatusError:
    """406: none of the accepted media types can be given."""
    return _error(406, "NotAcceptable", message)


def unsupported_media_type(message: str) -> StatusError:
    """415: the body's media type is not understood."""
    return _error(415, "UnsupportedMediaType", message)


def expired(message: str) -> StatusError:
    """410 for a continue token or resource version that is too old."""
    return _error(410, "Expired", message)


def gone(message: str) -> StatusError:
    """410 for a watch from a resource version that is too old."""
    return _error(410, "Expired", message)


def too_many_requests(message: str, retry_after: int) -> StatusError:
    """429; the seconds also go into the Retry-After header."""
    return _error(429, "TooManyRequests", message, {"retryAfterSeconds": retry_after})


def request_entity_too_large(message: str) -> StatusError:
    """413."""
    return _error(413, "RequestEntityTooLarge", message)


def timeout(group: str, resource: str, action: str, message: str, retry_after: int = 0) -> StatusError:
    """504: the server could not do it in time."""
    text = f"Timeout: {message}" if message else "Timeout"
    return _error(504, "Timeout", text, {"group": group, "kind": resource, "retryAfterSeconds": retry_after})


def service_unavailable(message: str) -> StatusError:
    """503."""
    return _error(503, "ServiceUnavailable", message)


def internal_error(message: str) -> StatusError:
    """500: ours, never the client's fault."""
    return _error(500, "InternalError", f"Internal error occurred: {message}", {"causes": [{"message": message}]})


def unclassified(message: str) -> StatusError:
    """500 without a reason: what upstream answers for an error that nobody made a Status of."""
    return _error(500, "", message)


def generic(code: int, verb: str, group: str, resource: str, name: str, message: str) -> StatusError:
    """An answer for codes that the server gives without a Status (unknown paths): `the server could not find ...`."""
    reasons = {
        404: "NotFound",
        405: "MethodNotAllowed",
        406: "NotAcceptable",
        415: "UnsupportedMediaType",
        401: "Unauthorized",
        403: "Forbidden",
        503: "ServiceUnavailable",
    }
    return _error(code, reasons.get(code, ""), message, {"name": name, "group": group, "kind": resource})
