"""URLs (upstream: apiserver/pkg/cel/library/urls.go), parsed as Go's net/url does."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from .. import functions, types
from ..errors import EvaluationError
from ..functions import Overload
from ..types import BOOL, STRING
from ..values import Opaque
from .declare import function, method
from .formatting import go_quoted

URL = types.object_type("kubernetes.URL", {})
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*")
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_PORT = re.compile(r"(?::[0-9]*)?")
_USER = re.compile(r"[A-Za-z0-9\-._:~!$&'()*+,;=%@]*")
_HOST_REFUSED = re.compile(r"[^A-Za-z0-9\-_.~!$&'()*+,;=:\[\]<>\"%\x80-\U0010ffff]")
_PATH_PLAIN = re.compile(r"[A-Za-z0-9\-_.~$&+,/:;=@!'()*\[\]%]*")
_PATH_SAFE = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~$&+,/:;=@")


class UrlError(ValueError):
    """A URL that Go refuses, in its words."""


@dataclass(frozen=True, slots=True)
class Url(Opaque):
    """Its parts; `path` is as it was given, with its escapes."""

    type_name = "kubernetes.URL"
    scheme: str
    user: str
    host: str
    path: str
    query: str
    opaque: str
    fragment: str = ""

    @property
    def hostname(self) -> str:
        """Without port and brackets."""
        host = self.host
        if host.startswith("["):
            return host[1:].partition("]")[0]
        return host.partition(":")[0] if ":" in host else host

    @property
    def port(self) -> str:
        """Digits, or nothing."""
        return self.host.rpartition(":")[2] if ":" in self.host and not self.host.endswith("]") else ""


def overloads() -> Iterator[Overload]:
    """All of them."""
    query = types.map_of(STRING, types.list_of(STRING))
    yield function("url", "string_to_url", (STRING,), URL, _url, functions.traversal(0))
    yield function("isURL", "is_url_string", (STRING,), BOOL, is_url)
    yield method("getScheme", "url_get_scheme", (URL,), STRING, lambda url: url.scheme)
    yield method("getHost", "url_get_host", (URL,), STRING, lambda url: url.host)
    yield method("getHostname", "url_get_hostname", (URL,), STRING, lambda url: url.hostname)
    yield method("getPort", "url_get_port", (URL,), STRING, lambda url: url.port)
    yield method("getEscapedPath", "url_get_escaped_path", (URL,), STRING, lambda url: _escaped_path(url.path))
    yield method("getQuery", "url_get_query", (URL,), query, lambda url: _parameters(url.query))


def is_url(text: str) -> bool:
    """Whether url.ParseRequestURI takes it."""
    try:
        parse(text, request=True)
    except UrlError:
        return False
    return True


def _url(text: str) -> Url:
    try:
        parse(text, request=True)
        return parse(text, request=False)
    except UrlError as error:
        raise EvaluationError(f"URL parse error during conversion from string: {error}") from None


def parse(text: str, request: bool) -> Url:
    """url.ParseRequestURI or url.Parse. UrlError."""
    rest, _, fragment = (text, "", "") if request else text.partition("#")
    try:
        return _parsed(rest, request, fragment)
    except UrlError as error:
        raise UrlError(f"parse {go_quoted(text)}: {error}") from None


def _parsed(text: str, request: bool, fragment: str) -> Url:
    if re.search(r"[\x00-\x1f\x7f]", text):
        raise UrlError("net/url: invalid control character in URL")
    if not text and request:
        raise UrlError("empty url")
    if text == "*":
        return Url("", "", "", "*", "", "")
    scheme, rest = "", text
    match = _SCHEME.match(text)
    if match and text[match.end() : match.end() + 1] == ":":
        scheme, rest = match[0].lower(), text[match.end() + 1 :]
    elif text.startswith(":"):
        raise UrlError("missing protocol scheme")
    rest, _, query = rest.partition("?")
    if not rest.startswith("/"):
        if scheme:
            return Url(scheme, "", "", "", query, rest, fragment)
        if request:
            raise UrlError("invalid URI for request")
        if ":" in rest.partition("/")[0]:
            raise UrlError("first path segment in URL cannot contain colon")
    user = host = ""
    if rest.startswith("//") and (scheme or (not request and not rest.startswith("///"))):
        authority, slash, path = rest[2:].partition("/")
        rest = slash + path
        user, host = _authority(authority)
    _check_escapes(rest)
    return Url(scheme, user, host, rest, query, "", fragment)


def _check_escapes(text: str) -> None:
    bad = _BAD_ESCAPE.search(text)
    if bad:
        raise UrlError(f"invalid URL escape {go_quoted(text[bad.start() : bad.start() + 3])}")


def _authority(text: str) -> tuple[str, str]:
    user, at, host = text.rpartition("@")
    if at and not _USER.fullmatch(user):
        raise UrlError("net/url: invalid userinfo")
    _check_escapes(user)
    if host.startswith("["):
        end = host.rfind("]")
        if end < 0:
            raise UrlError("missing ']' in host")
        port = host[end + 1 :]
    else:
        colon = host.rfind(":")
        port = host[colon:] if colon >= 0 else ""
    if not _PORT.fullmatch(port):
        raise UrlError(f"invalid port {go_quoted(port)} after host")
    refused = _HOST_REFUSED.search(host)
    if refused:
        raise UrlError(f"invalid character {go_quoted(refused[0])} in host name")
    if "%" in host and not host.startswith("["):
        bad = re.search(r"%(?![89A-Fa-f][0-9A-Fa-f])", host)
        if bad:
            raise UrlError(f"invalid URL escape {go_quoted(host[bad.start() : bad.start() + 3])}")
    return user, host


def _escaped_path(path: str) -> str:
    if _PATH_PLAIN.fullmatch(path):
        return path
    return "".join(chr(byte) if byte in _PATH_SAFE else f"%{byte:02X}" for byte in unquote_to_bytes(path))


def _parameters(query: str) -> dict[str, list[str]]:
    parameters: dict[str, list[str]] = {}
    for part in query.split("&"):
        if not part or ";" in part:
            continue
        key, _, value = part.partition("=")
        if _BAD_ESCAPE.search(part):
            continue
        name, text = (unquote_to_bytes(each.replace("+", " ")).decode("utf-8", "replace") for each in (key, value))
        parameters.setdefault(name, []).append(text)
    return parameters
