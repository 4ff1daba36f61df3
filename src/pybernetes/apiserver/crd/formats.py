"""The formats of strings that are checked (upstream: kube-openapi/pkg/validation/strfmt); others are not."""

from __future__ import annotations

import binascii
import ipaddress
import re
from collections.abc import Callable
from datetime import date
from urllib.parse import urlsplit

from pybernetes.api import durations, goregexp
from pybernetes.api.names import dns1123_label_errors, dns1123_subdomain_errors

# A name without dots may have one hyphen, behind its first letter; behind the last dot there are two letters or more.
_HOSTNAME = (
    r"^([a-zA-Z0-9\p{S}\p{L}]((-?[a-zA-Z0-9\p{S}\p{L}]{0,62})?)|"
    r"([a-zA-Z0-9\p{S}\p{L}](([a-zA-Z0-9-\p{S}\p{L}]{0,61}[a-zA-Z0-9\p{S}\p{L}])?)(\.)){1,}"
    r"([a-zA-Z0-9\p{S}\p{L}])(-?[a-zA-Z0-9\p{S}\p{L}]){1,62})$"
)
# As Go's net/mail reads one address, with or without a name before it (comments, groups and encoded words apart); nothing is tried twice.
_ATOM = r"[^\s\x00-\x1f\x7f()<>\[\]:;@\\,.\"]++"
_QUOTED = r'"(?:[^"\\\x00-\x1f]|\\.)*"'
_ADDRESS = rf"(?:{_ATOM}(?:\.{_ATOM})*|{_QUOTED})@{_ATOM}(?:\.{_ATOM})*"
_EMAIL = re.compile(rf" *(?:{_ADDRESS}|(?:(?:{_ATOM}|{_QUOTED}|\.)[ \t]*+)*+<{_ADDRESS}>) *")
_CLOCK = re.compile(r"([0-9]{2}):([0-9]{2}):([0-9]{2})(.[0-9]+)?(z|[+-][0-9]{2}:[0-9]{2})", re.ASCII)
_OCTETS, _QUADS = (6, 8, 20), (3, 4, 10)  # parts of a hardware address of two digits, and of four
_HEX_COLOR = re.compile(r"#?([0-9a-fA-F]{3}|[0-9a-fA-F]{6})")
_RGB = r"(0|[1-9][0-9]?|1[0-9][0-9]?|2[0-4][0-9]|25[0-5])"
_RGB_COLOR = re.compile(rf"rgb\(\s*{_RGB}\s*,\s*{_RGB}\s*,\s*{_RGB}\s*\)")
_SSN = re.compile(r"[0-9]{3}[- ]?[0-9]{2}[- ]?[0-9]{4}")
# Without ends of lines, and never empty: upstream's is a pattern, not Go's decoder.
_BASE64 = re.compile(r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=|[A-Za-z0-9+/]{4})")
_OBJECT_ID = re.compile(r"[0-9a-fA-F]{24}")
_CARD = re.compile(r"[0-9]{13,19}")
_AMOUNT = re.compile(r"([0-9]+)\s*([A-Za-zµ]+)", re.ASCII)
_UNITS = ("ns", "us", "µs", "ms", "s", "m", "h", "hr", "d", "w", "wk")
_LONG_UNITS = ("nano", "micro", "milli", "sec", "min", "hour", "day", "week")  # may go on: minutes
_INT64_DIGITS = 19  # more cannot be read
_UUID = r"[0-9a-f]{8}-?[0-9a-f]{4}-?%s[0-9a-f]{3}-?%s[0-9a-f]{3}-?[0-9a-f]{12}"


def _uuid(version: str = "[0-9a-f]", variant: str = "[0-9a-f]") -> Callable[[str], bool]:
    pattern = re.compile(_UUID % (version, variant), re.IGNORECASE)
    return lambda text: pattern.fullmatch(text) is not None


def _matches(pattern: re.Pattern[str]) -> Callable[[str], bool]:
    return lambda text: pattern.fullmatch(text) is not None


def _parses(parse: Callable[[str], object]) -> Callable[[str], bool]:
    def check(text: str) -> bool:
        try:
            parse(text)
        except (ValueError, binascii.Error):
            return False
        return True

    return check


def _duration(text: str) -> bool:
    """As Go writes them; else text that has an amount of a known unit anywhere, and none beyond int64 (kube-openapi: strfmt.ParseDuration)."""
    try:
        durations.parse_duration(text)
        return True
    except ValueError:
        pass
    told = False
    for amount in _AMOUNT.finditer(text):
        digits, unit = amount[1].lstrip("0"), amount[2].lower()
        if len(digits) > _INT64_DIGITS or int(digits or "0") >= 2**63:
            return False
        told = told or unit in _UNITS or unit.startswith(_LONG_UNITS)
    return told


def _uri(text: str) -> bool:
    """With a scheme, or a path from the root (url.ParseRequestURI)."""
    if text.startswith("/"):
        return True
    try:
        parts = urlsplit(text)
    except ValueError:  # brackets that hold no address
        return False
    return bool(re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]*", parts.scheme)) and bool(parts.netloc or parts.path)


def _date(text: str) -> object:
    if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
        raise ValueError(text)
    return date.fromisoformat(text if text[:4] != "0000" else f"2000{text[4:]}")  # Go's year 0 is a leap year, too


def _date_time(text: str) -> bool:
    """A date, a time to the second and a zone (strfmt.IsDateTime, which looks at no number of the zone)."""
    day, *times = text.lower().split("t", 2)
    clock = _CLOCK.fullmatch(times[0]) if times else None
    return clock is not None and clock[1] <= "23" and clock[2] <= "59" and clock[3] <= "59" and _parses(_date)(day)


def _mac(text: str) -> bool:
    """EUI-48, EUI-64 or the 20 octets of InfiniBand, with one separator throughout (net.ParseMAC)."""
    for separator, digits, counts in ((":", 2, _OCTETS), ("-", 2, _OCTETS), (".", 4, _QUADS)):
        parts = text.split(separator, max(counts))
        if len(parts) in counts:
            return all(re.fullmatch(f"[0-9a-fA-F]{{{digits}}}", part) for part in parts)
    return False


def _isbn(digits: int) -> Callable[[str], bool]:
    def check(text: str) -> bool:
        plain = text.replace("-", "").replace(" ", "")
        if digits == 13:
            odd = sum(int(c) * (3 if i % 2 else 1) for i, c in enumerate(plain) if c.isdigit())
            return re.fullmatch(r"[0-9]{13}", plain) is not None and odd % 10 == 0
        if not re.fullmatch(r"[0-9]{9}[0-9X]", plain):
            return False
        return sum((10 - i) * (10 if c == "X" else int(c)) for i, c in enumerate(plain)) % 11 == 0

    return check


def _card(text: str) -> bool:
    """A number that passes Luhn's test."""
    plain = text.replace("-", "").replace(" ", "")
    if not _CARD.fullmatch(plain):
        return False
    doubled = [int(c) * 2 if i % 2 else int(c) for i, c in enumerate(reversed(plain))]
    return sum(d - 9 if d > 9 else d for d in doubled) % 10 == 0


def _hostname(text: str) -> bool:
    return (
        len(text.encode()) <= 255
        and goregexp.compile(_HOSTNAME).search(text)
        and all(len(part.encode()) <= 63 for part in text.split("."))
    )


def _address(text: str) -> object:
    """Without a zone; parts of IPv4, and lengths, may begin with zeros (k8s.io/utils/net: ParseIPSloppy, ParseCIDRSloppy)."""
    if "%" in text:
        raise ValueError(text)
    if ":" in text:
        return ipaddress.IPv6Address(text)
    return ipaddress.IPv4Address(".".join(part and (part.lstrip("0") or "0") for part in text.split(".")))


def _family(mark: str) -> Callable[[str], bool]:
    """An address of IPv6 that is written as one of IPv4 is of both."""
    return lambda text: mark in text and _parses(_address)(text)


def _cidr(text: str) -> object:
    address, slash, length = text.partition("/")
    _address(address)
    if not slash or not re.fullmatch("0*[0-9]{1,3}", length, re.ASCII):
        raise ValueError(text)
    if int(length[-3:]) > (128 if ":" in address else 32):
        raise ValueError(text)
    return int(length[-3:])


CHECKS: dict[str, Callable[[str], bool]] = {
    "bsonobjectid": _matches(_OBJECT_ID),
    "byte": _matches(_BASE64),
    "cidr": _parses(_cidr),
    "creditcard": _card,
    "date": _parses(_date),
    "date-time": _date_time,
    "datetime": _date_time,
    "duration": _duration,
    "email": _matches(_EMAIL),
    "hexcolor": _matches(_HEX_COLOR),
    "hostname": _hostname,
    "ipv4": _family("."),
    "ipv6": _family(":"),
    "isbn": lambda text: _isbn(10)(text) or _isbn(13)(text),
    "isbn10": _isbn(10),
    "isbn13": _isbn(13),
    "k8s-long-name": lambda text: not dns1123_subdomain_errors(text),
    "k8s-short-name": lambda text: not dns1123_label_errors(text),
    "mac": _mac,
    "rgbcolor": _matches(_RGB_COLOR),
    "ssn": _matches(_SSN),
    "uri": _uri,
    "uuid": _uuid(),
    "uuid3": _uuid("3"),
    "uuid4": _uuid("4", "[89ab]"),
    "uuid5": _uuid("5", "[89ab]"),
}
