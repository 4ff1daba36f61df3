"""What comes from users, on its way into nginx' configuration. This is a boundary: who may write an Ingress may not configure nginx.

Every word of a user's is either of a form that is checked here, or quoted so that nginx reads it as one word. Neither makes variables
harmless: where nginx expands `$`, only what `TEXT` or `URL` lets through may stand.
"""

from __future__ import annotations

import ipaddress
import re

_LABEL = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
HOST = re.compile(rf"(\*\.)?{_LABEL}(\.{_LABEL})*")
HOST_LENGTH = 253
CONTROL = re.compile(r"[\x00-\x1f\x7f]")
# Variables that hold no more than the request said, as it was sent: a decoded one ($uri) in an answer's header lets a client end it.
_VARIABLE = r"\$(request_uri|host|scheme|args|is_args|query_string|[1-9])(?![a-z_0-9])"
_PLAIN = r"[-._~a-zA-Z0-9/:@!&'()*+,;=%?#\[\]]"
URL = re.compile(rf"https?://({_PLAIN}|{_VARIABLE})+")
TARGET = re.compile(rf"/?([-._~a-zA-Z0-9/:@!&'()*+,=%?]|{_VARIABLE})*")
TEXT = re.compile(r"[^$\x00-\x1f\x7f]*")
COOKIE = re.compile(r"[A-Za-z0-9_]{1,64}")  # as a part of a variable's name


class Invalid(ValueError):
    """What a user wrote cannot be used; one line, without its place."""


def quoted(text: str) -> str:
    """One word for nginx' parser, whatever is in it but control characters. Invalid."""
    if CONTROL.search(text):
        raise Invalid("has control characters")
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def host(text: str) -> str:
    """A DNS name, also *.example.com. Invalid."""
    if len(text) > HOST_LENGTH or not HOST.fullmatch(text):
        raise Invalid(f"{text[:80]!r} is no DNS name")
    return text


def server_name(name: str) -> str:
    """As a server's name: a wildcard stands for one label, as the API says, where nginx' own would stand for many."""
    if not name.startswith("*."):
        return name
    return quoted("~^[^.]+" + re.escape(name[1:]) + "$")


def network(text: str) -> str:
    """A CIDR or an address. Invalid."""
    try:
        return str(ipaddress.ip_network(text.strip(), strict=False))
    except ValueError:
        raise Invalid(f"{text.strip()[:80]!r} is no address or CIDR") from None


def joined(address: str, port: int) -> str:
    """10.0.0.1:80, [2001:db8::1]:80. Invalid where the address is none."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        raise Invalid(f"{address[:80]!r} is no address") from None
    return f"[{parsed}]:{port}" if parsed.version == 6 else f"{parsed}:{port}"
