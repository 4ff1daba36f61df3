"""Annotations of an Ingress (upstream: internal/ingress/annotations). What is not in PARSERS is told; nothing is passed over in silence.

What is to keep people out and cannot be brought about closes the location (503), as upstream's authentication does: an Ingress that asks for it
is never open by mistake.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace

from . import quoting
from .model import Cors, Limits, Options, Sticky
from .quoting import Invalid

PREFIX = "nginx.ingress.kubernetes.io"  # upstream's --annotations-prefix
GUARDS = ("auth-", "whitelist-", "allowlist-", "denylist-", "satisfy", "enable-modsecurity", "modsecurity-")
MAX_SECONDS = 1 << 31
MAX_RATE = 1_000_000
BUFFERS, BUFFER_SIZE = 4, "4k"  # upstream's, of an answer
PROTOCOLS = ("HTTP", "HTTPS", "GRPC", "GRPCS")
_SIZE = re.compile(r"[0-9]{1,10}[kKmMgG]?")
_ORIGIN = re.compile(r"\*|https?://(\*\.)?[a-zA-Z0-9.-]+(:[0-9]{1,5})?")
_LIST = re.compile(r"[A-Za-z0-9_-]+( *, *[A-Za-z0-9_-]+)*")
_PATH = re.compile(r"/[-._~a-zA-Z0-9/%]*")
_CONDITION = r"(error|timeout|invalid_header|http_(403|404|429|500|502|503|504)|non_idempotent|off)"
_CONDITIONS = re.compile(rf"{_CONDITION}( +{_CONDITION})*")
_OBJECT = re.compile(r"([-a-z0-9.]+/)?[-a-z0-9.]+")


def boolean(text: str) -> bool:
    """As Go's strconv.ParseBool. Invalid."""
    if text in ("1", "t", "T", "true", "TRUE", "True"):
        return True
    if text in ("0", "f", "F", "false", "FALSE", "False"):
        return False
    raise Invalid(f"{text[:80]!r} is neither true nor false")


def seconds(text: str) -> int:
    """Invalid."""
    if not re.fullmatch(r"[0-9]{1,10}", text) or int(text) > MAX_SECONDS:
        raise Invalid(f"{text[:80]!r} is no number of seconds")
    return int(text)


def amount(text: str) -> int:
    """Invalid."""
    if not re.fullmatch(r"[0-9]{1,7}", text) or int(text) > MAX_RATE:
        raise Invalid(f"{text[:80]!r} is no number up to {MAX_RATE}")
    return int(text)


def positive(text: str) -> int:
    """Invalid."""
    if not amount(text):
        raise Invalid("0 is no number of them")
    return int(text)


def matching(pattern: re.Pattern[str], what: str) -> Callable[[str], str]:
    """A parser of texts of that form."""

    def parse(text: str) -> str:
        if not pattern.fullmatch(text):
            raise Invalid(f"{text[:80]!r} is no {what}")
        return text

    return parse


def one_of(*choices: str) -> Callable[[str], str]:
    """A parser, blind to case."""

    def parse(text: str) -> str:
        if text.strip().upper() not in choices:
            raise Invalid(f"{text[:80]!r} is none of {', '.join(choices)}")
        return text.strip().upper()

    return parse


def several(each: Callable[[str], str]) -> Callable[[str], tuple[str, ...]]:
    """A parser of a list with commas."""
    return lambda text: tuple(each(item.strip()) for item in text.split(",") if item.strip())


def _code(text: str) -> int:
    if text not in ("301", "302", "303", "307", "308"):
        raise Invalid(f"{text[:80]!r} is no code of a redirect")
    return int(text)


def _size(text: str) -> str:
    return matching(_SIZE, "size, as 8m")(text)


# Annotation -> (field of Options, parser).
PARSERS: Mapping[str, tuple[str, Callable[[str], object]]] = {
    "rewrite-target": ("rewrite_target", matching(quoting.TARGET, "target of a rewrite: a path, with $1 to $9")),
    "use-regex": ("use_regex", boolean),
    "ssl-redirect": ("ssl_redirect", boolean),
    "force-ssl-redirect": ("force_ssl_redirect", boolean),
    "backend-protocol": ("backend_protocol", one_of(*PROTOCOLS)),
    "proxy-body-size": ("body_size", _size),
    "proxy-connect-timeout": ("connect_timeout", seconds),
    "proxy-send-timeout": ("send_timeout", seconds),
    "proxy-read-timeout": ("read_timeout", seconds),
    "whitelist-source-range": ("allowed", several(quoting.network)),
    "allowlist-source-range": ("allowed", several(quoting.network)),
    "denylist-source-range": ("forbidden", several(quoting.network)),
    "app-root": ("app_root", matching(_PATH, "path")),
    "server-alias": ("aliases", several(quoting.host)),
    "service-upstream": ("service_upstream", boolean),
    "upstream-vhost": ("upstream_vhost", quoting.host),
    "x-forwarded-prefix": ("forwarded_prefix", matching(_PATH, "path")),
    "auth-realm": ("auth_realm", matching(quoting.TEXT, "text without $")),
}
# Those that mean something together; each is read by the function beside.
REDIRECTS = ("permanent-redirect", "permanent-redirect-code", "temporal-redirect")
CORS: Mapping[str, tuple[str, Callable[[str], object]]] = {
    "cors-allow-origin": ("origins", several(matching(_ORIGIN, "origin"))),
    "cors-allow-methods": ("methods", matching(_LIST, "list of methods")),
    "cors-allow-headers": ("headers", matching(_LIST, "list of headers")),
    "cors-expose-headers": ("expose", matching(_LIST, "list of headers")),
    "cors-allow-credentials": ("credentials", boolean),
    "cors-max-age": ("max_age", seconds),
}
COOKIE: Mapping[str, tuple[str, Callable[[str], object]]] = {
    "session-cookie-name": ("cookie", matching(quoting.COOKIE, "name of a cookie, of letters, digits and _")),
    "session-cookie-path": ("path", matching(_PATH, "path")),
    "session-cookie-max-age": ("max_age", seconds),
}
LIMITS: Mapping[str, tuple[str, Callable[[str], object]]] = {
    "limit-connections": ("connections", amount),
    "limit-rps": ("per_second", amount),
    "limit-rpm": ("per_minute", amount),
    "limit-burst-multiplier": ("burst", positive),
    "limit-rate": ("kilobytes", amount),
    "limit-rate-after": ("kilobytes_free", amount),
    "limit-whitelist": ("unlimited", several(quoting.network)),
    "limit-allowlist": ("unlimited", several(quoting.network)),
}
# Those that are a directive of nginx of the same name, with what it is given.
DIRECTIVES: Mapping[str, Callable[[str], str]] = {
    "client-body-buffer-size": _size,
    "proxy-buffer-size": _size,
    "proxy-buffering": one_of("ON", "OFF"),
    "proxy-http-version": matching(re.compile(r"1\.[01]"), "version of HTTP, 1.0 or 1.1"),
    "proxy-max-temp-file-size": _size,
    "proxy-next-upstream": matching(_CONDITIONS, "list of conditions, as error timeout http_502"),
    "proxy-next-upstream-timeout": lambda text: f"{seconds(text)}s",
    "proxy-next-upstream-tries": lambda text: str(seconds(text)),
    "proxy-request-buffering": one_of("ON", "OFF"),
}
GROUPS = (
    *REDIRECTS,
    "enable-cors",
    *CORS,
    "affinity",
    *COOKIE,
    "auth-type",
    "auth-secret",
    "auth-secret-type",
    *LIMITS,
    *DIRECTIVES,
    "proxy-buffers-number",
)


class _Reading:
    def __init__(self, annotations: Mapping[str, str], prefix: str) -> None:
        start = f"{prefix}/"
        self.values = {name.removeprefix(start): value for name, value in annotations.items() if name.startswith(start)}
        self.problems: list[str] = []
        self._prefix, self.denied = prefix, False

    def problem(self, name: str, text: str) -> None:
        closes = name.startswith(GUARDS)
        self.denied = self.denied or closes
        tail = "; its paths are closed, since it is to keep people out" if closes else ""
        self.problems.append(f"annotation {self._prefix}/{name} {text}{tail}")

    def read(self, name: str, parse: Callable[[str], object]) -> object | None:
        """None where it is not there, or not to be used."""
        if name not in self.values:
            return None
        try:
            return parse(self.values[name])
        except Invalid as error:
            self.problem(name, f"is not used: {error}")
            return None

    def fields(self, table: Mapping[str, tuple[str, Callable[[str], object]]]) -> dict[str, object]:
        values = {field: self.read(name, parse) for name, (field, parse) in table.items() if name in self.values}
        return {field: value for field, value in values.items() if value is not None}


def parse(annotations: Mapping[str, str], namespace: str, prefix: str = PREFIX) -> tuple[Options, list[str]]:
    """What they ask for, and what of it is not done, in words for an Event."""
    reading = _Reading(annotations, prefix)
    for name in sorted(reading.values):
        if name not in PARSERS and name not in GROUPS:
            reading.problem(name, "is not supported")
    fields = reading.fields(PARSERS)
    fields |= (
        _limits(reading)
        | _directives(reading)
        | _redirect(reading)
        | _cors(reading)
        | _affinity(reading)
        | _basic(reading, namespace)
    )
    options = replace(Options(), **fields)  # type: ignore[arg-type]  # the tables have each field's parser
    return replace(options, denied=reading.denied), reading.problems


def _redirect(reading: _Reading) -> dict[str, object]:
    """Upstream asks for the temporal one first."""
    url = matching(quoting.URL, "URL (of variables it may have $request_uri, $host, $scheme, $args)")
    if (target := reading.read("temporal-redirect", url)) is not None:
        return {"redirect": target, "redirect_code": 302}
    if (target := reading.read("permanent-redirect", url)) is not None:
        code = reading.read("permanent-redirect-code", _code)
        return {"redirect": target, "redirect_code": code or 301}
    return {}


def _limits(reading: _Reading) -> dict[str, object]:
    limits = replace(Limits(), **reading.fields(LIMITS))  # type: ignore[arg-type]  # as in `parse`
    bounds = limits.connections or limits.per_second or limits.per_minute or limits.kilobytes
    return {"limits": limits} if bounds else {}


def _directives(reading: _Reading) -> dict[str, object]:
    values = {name: reading.read(name, parser) for name, parser in DIRECTIVES.items()}
    given = tuple((name.replace("-", "_"), str(v).lower()) for name, v in values.items() if v is not None)
    number, size = reading.read("proxy-buffers-number", positive), values["proxy-buffer-size"]
    if (
        number is not None or size is not None
    ):  # of one size, as upstream's: nginx takes no first one that is larger than the rest
        given += (("proxy_buffers", f"{number or BUFFERS} {size or BUFFER_SIZE}"),)
    return {"directives": given} if given else {}


def _cors(reading: _Reading) -> dict[str, object]:
    if not reading.read("enable-cors", boolean):
        return {}
    return {"cors": replace(Cors(), **reading.fields(CORS))}  # type: ignore[arg-type]


def _affinity(reading: _Reading) -> dict[str, object]:
    if reading.read("affinity", one_of("COOKIE")) is None:
        return {}
    return {"sticky": replace(Sticky(), **reading.fields(COOKIE))}  # type: ignore[arg-type]


def _basic(reading: _Reading, namespace: str) -> dict[str, object]:
    """Of a Secret in the Ingress' own namespace: others' are not for it to use (upstream: allow-cross-namespace-resources=false)."""
    if "auth-type" not in reading.values:
        if "auth-secret" in reading.values:
            reading.problem("auth-secret", "needs auth-type: basic")
        return {}
    if reading.read("auth-type", one_of("BASIC")) is None:
        return {}
    reading.read("auth-secret-type", one_of("AUTH-FILE"))
    name = reading.read("auth-secret", matching(_OBJECT, "name of a secret"))
    if not isinstance(name, str):
        if "auth-secret" not in reading.values:
            reading.problem("auth-type", "needs auth-secret")
        return {}
    owner, slash, secret = name.partition("/")
    if slash and owner != namespace:
        reading.problem("auth-secret", f"names a secret of the namespace {owner}, which is not this one's to use")
        return {}
    return {"auth_secret": (namespace, secret if slash else name)}
