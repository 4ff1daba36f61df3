"""Named formats (upstream: apiserver/pkg/cel/library/format.go)."""

from __future__ import annotations

import base64
import binascii
import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from pybernetes.api import names

from .. import types
from ..convert import parse_timestamp
from ..errors import CelError
from ..functions import REGEXP_LENGTH, TRAVERSAL, Overload
from ..types import STRING
from ..values import NONE, Opaque, Optional, size_of
from . import urls
from .declare import function, method

FORMAT = types.object_type("kubernetes.NamedFormat", {})
_UUID = re.compile(r"[0-9A-F]{8}-?[0-9A-F]{4}-?[0-9A-F]{4}-?[0-9A-F]{4}-?[0-9A-F]{12}", re.IGNORECASE)
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_DNS1035 = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
_DNS1035_MESSAGE = (
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, "
    "and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')"
)

Check = Callable[[str], list[str]]


@dataclass(frozen=True, slots=True)
class Format(Opaque):
    """What texts of a format must be; equal by name. `weight` is the length of its regular expression, for costs."""

    type_name = "kubernetes.NamedFormat"
    name: str
    check: Check = field(compare=False)
    weight: int = field(compare=False)

    def __str__(self) -> str:
        return self.name


def overloads() -> Iterator[Overload]:
    """All of them."""
    strings = types.optional_of(types.list_of(STRING))
    yield method("validate", "format-validate", (FORMAT, STRING), strings, _validate, _cost)
    yield function("format.named", "format-named", (STRING,), types.optional_of(FORMAT), _named)
    for name in FORMATS:
        yield function(f"format.{name}", f"format.{name}", (), FORMAT, _constant(name))


def _constant(name: str) -> Callable[[], Format]:
    return lambda: FORMATS[name]


def _named(name: str) -> Optional:
    return Optional(FORMATS[name]) if name in FORMATS else NONE


def _validate(own: Format, text: str) -> Optional:
    errors = own.check(text)
    return Optional(errors) if errors else NONE


def _cost(arguments: Sequence[Any], _: Any) -> int:
    own: Format = arguments[0]
    text = arguments[1]
    return math.ceil((1 + size_of(text)) * TRAVERSAL) * math.ceil(own.weight * REGEXP_LENGTH)


# --- the formats -------------------------------------------------------------------------------


def _dns1035_label(text: str) -> list[str]:
    errors = ["must be no more than 63 characters"] if len(text.encode("utf-8", "surrogatepass")) > 63 else []
    return errors if _DNS1035.fullmatch(text) else [*errors, _DNS1035_MESSAGE]


def _prefix_of(check: Check) -> Check:
    """What begins a name that something is appended to: it may end with a dash."""
    return lambda text: check(f"{text[:-2]}a" if len(text) > 1 and text.endswith("-") else text)


def _uri(text: str) -> list[str]:
    try:
        urls.parse(text, request=True)
    except urls.UrlError as error:
        return [str(error)]
    return []


def _parses(parse: Callable[[str], object], message: str) -> Check:
    def check(text: str) -> list[str]:
        try:
            parse(text)
        except (ValueError, binascii.Error, CelError):
            return [message]
        return []

    return check


def _date(text: str) -> date:
    if not _DATE.fullmatch(text):
        raise ValueError(text)
    return date.fromisoformat(text)


def _uuid(text: str) -> list[str]:
    return [] if _UUID.fullmatch(text) else ["does not match the UUID format"]


_TABLE: tuple[tuple[str, str, Check, int], ...] = (
    ("dns1123Label", "DNS1123Label", names.dns1123_label_errors, 30),
    ("dns1123Subdomain", "DNS1123Subdomain", names.dns1123_subdomain_errors, 60),
    ("dns1035Label", "DNS1035Label", _dns1035_label, 30),
    ("qualifiedName", "QualifiedName", names.label_key_errors, 60),
    ("dns1123LabelPrefix", "DNS1123LabelPrefix", _prefix_of(names.dns1123_label_errors), 30),
    ("dns1123SubdomainPrefix", "DNS1123SubdomainPrefix", _prefix_of(names.dns1123_subdomain_errors), 60),
    ("dns1035LabelPrefix", "DNS1035LabelPrefix", _prefix_of(_dns1035_label), 30),
    ("labelValue", "LabelValue", names.label_value_errors, 40),
    ("uri", "URI", _uri, 1103),
    ("uuid", "uuid", _uuid, 87),
    ("byte", "byte", _parses(lambda text: base64.b64decode(text, validate=True), "invalid base64"), 84),
    ("date", "date", _parses(_date, "invalid date"), 76),
    ("datetime", "datetime", _parses(parse_timestamp, "invalid datetime"), 76),
)
FORMATS = {key: Format(name, check, weight) for key, name, check, weight in _TABLE}
