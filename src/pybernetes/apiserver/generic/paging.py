"""Resource versions and continue tokens of lists (upstream: apiserver/pkg/storage/continue.go, api_errors.go). Pure."""

from __future__ import annotations

import base64
import posixpath
import re

import msgspec

from pybernetes.api import errors, field, gosyntax
from pybernetes.api.errors import StatusError
from pybernetes.api.field import Path
from pybernetes.api.strconv import parse_uint

from .options import ListOptions

NOW_REVISION = -1  # in a token: the rest as it is now, not as it was

MAX_DIGITS = 1000  # leading zeros are allowed, but who would send so many?

_DIGITS = re.compile(r"[0-9]+")
_NOT_BASE64 = re.compile(r"[^A-Za-z0-9_-]")

_encode = msgspec.json.Encoder().encode


class _Token(msgspec.Struct):
    """A continue token, unpacked."""

    v: str = ""
    rv: int = 0
    start: str = ""


class NotAVersion(Exception):
    """A resource version that is none; the text is upstream's, which each verb answers in another way."""


def parse_revision(text: str) -> int:
    """The number of a resource version, 0 for none; NotAVersion (upstream: storage APIObjectVersioner)."""
    try:
        return parse_uint(text or "0")
    except ValueError as error:
        raise NotAVersion(str(field.invalid(Path("resourceVersion"), text, str(error)))) from None


def revision_of(text: str) -> int:
    """As `parse_revision`, for lists; StatusError 400."""
    try:
        return parse_revision(text)
    except NotAVersion as error:
        raise errors.bad_request(f"invalid resource version: {error}") from None


def revision_read(text: str) -> int:
    """As `parse_revision`, for a single object and for watches; StatusError 500, as upstream makes no Status of it."""
    try:
        return parse_revision(text)
    except NotAVersion as error:
        raise errors.unclassified(str(error)) from None


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
    try:
        revision, start = _decoded(options.continue_)
    except ValueError as error:
        raise errors.bad_request(f"invalid continue token: continue key is not valid: {error}") from None
    if options.resource_version not in ("", "0"):
        raise errors.bad_request("specifying resource version is not allowed when using continue")
    return max(revision, 0), prefix + start.removesuffix("\0")


def _decoded(continue_: str) -> tuple[int, str]:
    """(revision, key). ValueError for what is no token (upstream: storage/continue.go)."""
    if wrong := _NOT_BASE64.search(continue_):
        raise ValueError(f"illegal base64 data at input byte {wrong.start()}")
    try:
        data = base64.urlsafe_b64decode(continue_ + "=" * (-len(continue_) % 4))
    except ValueError:
        raise ValueError(f"illegal base64 data at input byte {len(continue_) - 1}") from None
    try:
        token = msgspec.json.decode(data, type=_Token)
    except msgspec.ValidationError as error:
        raise ValueError(str(error)) from None
    except msgspec.DecodeError as error:
        raise ValueError(gosyntax.syntax_error(data) or str(error)) from None
    if token.v != "meta.k8s.io/v1":
        raise ValueError(f"server does not recognize this encoded version {token.v}")
    if not token.rv:
        raise ValueError("incorrect encoded start resourceVersion (version meta.k8s.io/v1)")
    if not token.start:
        raise ValueError("encoded start key empty (version meta.k8s.io/v1)")
    key = "/" + token.start.removeprefix("/")
    # Nothing above the prefix, nor what Go's path.Clean would write otherwise.
    if posixpath.normpath(key) != key or key.startswith("//"):
        raise ValueError(token.start)
    return token.rv, key[1:]


def too_large(revision: int, current: int) -> StatusError:
    """504: the asked resource version is from the future."""
    refused = errors.timeout("", "", "", f"Too large resource version: {revision}, current: {current}", retry_after=1)
    refused.status["details"]["causes"] = [
        {"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}
    ]
    return refused
