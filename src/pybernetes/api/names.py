"""What names and the keys and values of labels must look like, told in upstream's words.

After upstream's ``apimachinery/pkg/util/validation`` and ``pkg/api/validate/content``.
"""

from __future__ import annotations

import re
from typing import Final

QUALIFIED_NAME_MAX: Final = 63
LABEL_VALUE_MAX: Final = 63
DNS1123_LABEL_MAX: Final = 63
DNS1123_SUBDOMAIN_MAX: Final = 253

_ALNUM_ENDS: Final = "'-', '_' or '.', and must start and end with an alphanumeric character"
_QUALIFIED_FMT: Final = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
_QUALIFIED_MSG: Final = f"must consist of alphanumeric characters, {_ALNUM_ENDS}"
_VALUE_FMT: Final = f"({_QUALIFIED_FMT})?"
_VALUE_MSG: Final = f"a valid label must be an empty string or consist of alphanumeric characters, {_ALNUM_ENDS}"
_DNS_LABEL_FMT: Final = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_DNS_LABEL_MSG: Final = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', "
    "and must start and end with an alphanumeric character"
)
_DNS_SUBDOMAIN_FMT: Final = rf"{_DNS_LABEL_FMT}(\.{_DNS_LABEL_FMT})*"
_DNS_SUBDOMAIN_MSG: Final = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', "
    "and must start and end with an alphanumeric character"
)

_QUALIFIED_RE: Final = re.compile(_QUALIFIED_FMT)
_VALUE_RE: Final = re.compile(_VALUE_FMT)
_DNS_LABEL_RE: Final = re.compile(_DNS_LABEL_FMT)
_DNS_SUBDOMAIN_RE: Final = re.compile(_DNS_SUBDOMAIN_FMT)


def _max_len_error(limit: int, unit: str = "bytes") -> str:
    """Word a length limit; upstream counts bytes but says "characters" for DNS names."""
    return f"must be no more than {limit} {unit}"


def _regex_error(message: str, pattern: str, *examples: str) -> str:
    """Word a failed pattern as upstream's ``RegexError`` does, odd spacing included."""
    if not examples:
        return f"{message} (regex used for validation is '{pattern}')"
    shown = " or ".join(f"'{example}', " for example in examples)
    return f"{message} (e.g. {shown}regex used for validation is '{pattern}')"


_QUALIFIED_SHAPE: Final = _regex_error(_QUALIFIED_MSG, _QUALIFIED_FMT, "MyName", "my.name", "123-abc")
_VALUE_SHAPE: Final = _regex_error(_VALUE_MSG, _VALUE_FMT, "MyValue", "my_value", "12345")


def _too_long(value: str, limit: int) -> bool:
    return len(value) > limit or (4 * len(value) > limit and len(value.encode("utf-8", "surrogatepass")) > limit)


def dns1123_label_errors(value: str) -> list[str]:
    """Explain why a value is not a DNS-1123 label (``validation.IsDNS1123Label``)."""
    errors = [_max_len_error(DNS1123_LABEL_MAX, "characters")] if _too_long(value, DNS1123_LABEL_MAX) else []
    if not _DNS_LABEL_RE.fullmatch(value):
        if _DNS_SUBDOMAIN_RE.fullmatch(value):
            errors.append("must not contain dots")
        else:
            errors.append(_regex_error(_DNS_LABEL_MSG, _DNS_LABEL_FMT, "my-name", "123-abc"))
    return errors


def dns1123_subdomain_errors(value: str) -> list[str]:
    """Explain why a value is not a DNS-1123 subdomain (``validation.IsDNS1123Subdomain``)."""
    return _subdomain_errors(value, "characters")


def _subdomain_errors(value: str, unit: str) -> list[str]:
    errors = [_max_len_error(DNS1123_SUBDOMAIN_MAX, unit)] if _too_long(value, DNS1123_SUBDOMAIN_MAX) else []
    if not _DNS_SUBDOMAIN_RE.fullmatch(value):
        errors.append(_regex_error(_DNS_SUBDOMAIN_MSG, _DNS_SUBDOMAIN_FMT, "example.com"))
    return errors


def label_key_errors(key: str) -> list[str]:
    """Explain why a key is not a qualified name (``content.IsLabelKey``)."""
    shape = _QUALIFIED_SHAPE
    parts = key.split("/")
    if len(parts) > 2:
        return [f"a valid label key {shape} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"]
    errors: list[str] = []
    if len(parts) == 2:
        if not parts[0]:
            errors.append("prefix part must be non-empty")
        else:
            errors.extend(f"prefix part {message}" for message in _subdomain_errors(parts[0], "bytes"))
    name = parts[-1]
    if not name:
        errors.append("name part must be non-empty")
    elif _too_long(name, QUALIFIED_NAME_MAX):
        errors.append(f"name part {_max_len_error(QUALIFIED_NAME_MAX)}")
    if not _QUALIFIED_RE.fullmatch(name):
        errors.append(f"name part {shape}")
    return errors


def label_value_errors(value: str) -> list[str]:
    """Explain why a value cannot be a label value (``content.IsLabelValue``)."""
    errors = [_max_len_error(LABEL_VALUE_MAX)] if _too_long(value, LABEL_VALUE_MAX) else []
    if not _VALUE_RE.fullmatch(value):
        errors.append(_VALUE_SHAPE)
    return errors
