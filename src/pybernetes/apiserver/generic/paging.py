"""Resource versions and continue tokens of lists (upstream: apiserver/pkg/storage/continue.go, api_errors.go). Pure."""

from __future__ import annotations

import base64

import msgspec

from pybernetes.api import errors, field
from pybernetes.api.errors import StatusError
from pybernetes.api.field import Path

from .options import ListOptions

NOW_REVISION = -1  # in a token: the rest as it is now, not as it was

_encode = msgspec.json.Encoder().encode


def revision_of(text: str) -> int:
    """The number of a resource version, 0 for none; StatusError 400."""
    if not text:
        return 0
    if not text.isdigit():
        cause = field.invalid(Path("resourceVersion"), text, f'strconv.ParseUint: parsing "{text}": invalid syntax')
        raise errors.bad_request(str(cause))
    return int(text)


def token(revision: int, start: str) -> str:
    """What a client gives back to go on: it holds all that the server needs, and so outlives it."""
    content = {"v": "meta.k8s.io/v1", "rv": revision, "start": start}
    return base64.urlsafe_b64encode(_encode(content)).decode().rstrip("=")


def expired(after: str | None) -> StatusError:
    """410; with a key to go on from, a token for the rest as it is now (upstream: handleCompactedErrorForPaging)."""
    if after is None:
        return errors.expired("The resourceVersion for the provided list is too old.")
    text = (
        "The provided continue parameter is too old to display a consistent list result. "
        "You can start a new list without the continue parameter, or use the continue token in this response to "
        "retrieve the remainder of the results. Continuing with the provided token results in an inconsistent list - "
        "objects that were created, modified, or deleted between the time the first chunk was returned and now may "
        "show up in the list."
    )
    status = errors.expired(text).status
    return StatusError({**status, "metadata": {"continue": token(NOW_REVISION, after + "\0")}})


def continued(options: ListOptions, prefix: str) -> tuple[int, str]:
    """(revision, key after which to go on) of a continue token."""
    if not options.continue_:
        return 0, ""
    if options.resource_version not in ("", "0"):
        raise errors.bad_request("specifying resource version is not allowed when using continue")
    try:
        padded = options.continue_ + "=" * (-len(options.continue_) % 4)
        content = msgspec.json.decode(base64.urlsafe_b64decode(padded))
        revision, start, version = int(content["rv"]), str(content["start"]), content["v"]
    except (ValueError, KeyError, TypeError, msgspec.DecodeError):
        raise errors.bad_request(
            "continue key is not valid: incorrect encoded start resourceVersion (version meta.k8s.io/v1)"
        ) from None
    if version != "meta.k8s.io/v1" or ".." in start:
        raise errors.bad_request("continue key is not valid: server does not recognize this encoded version")
    return max(revision, 0), prefix + start.removesuffix("\0")


def too_large(wanted: int, current: int) -> StatusError:
    """504: the asked resource version is from the future."""
    refused = errors.timeout("", "", "", f"Too large resource version: {wanted}, current: {current}", retry_after=1)
    refused.status["message"] = f"Too large resource version: {wanted}, current: {current}"
    refused.status["details"]["causes"] = [
        {"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}
    ]
    return refused
