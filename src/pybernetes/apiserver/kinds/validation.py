"""Checks that several kinds share: names, numbers, addresses, selectors (upstream: apimachinery/pkg/util/validation, core validation)."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import lru_cache
from typing import Any

from pybernetes.api import field
from pybernetes.api.field import FieldError, Path
from pybernetes.api.names import dns1123_label_errors, dns1123_subdomain_errors, label_key_errors, label_value_errors
from pybernetes.api.quantity import Quantity

Errors = list[FieldError]
NameCheck = Callable[[str], list[str]]

IMMUTABLE = "field is immutable"
MAX_WHOLE = 16  # faults of one list that each show the whole of it
MAX_NAMED = 100  # names that a fault lists of those that there are
NOT_NEGATIVE = "must be greater than or equal to 0"
MAX_INT32 = 2**31 - 1
WHOLE_OBJECT = Path("[]")  # how upstream prints the path of the object itself

_DNS1035 = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
_UNDERSCORE_SUBDOMAIN = re.compile(r"_?[a-z0-9]([-_a-z0-9]*[a-z0-9])?(\._?[a-z0-9]([-_a-z0-9]*[a-z0-9])?)*")
_CONFIG_KEY = re.compile(r"[-._a-zA-Z0-9]+")
_HTTP_HEADER = re.compile(r"[-A-Za-z0-9]+")
_PORT_NAME = re.compile(r"[-a-z0-9]+")
_HTTP_PATH = re.compile(r"[A-Za-z0-9/\-._~%!$&'()*+,;=:]+")
_RELAXED_ENV = re.compile(r"[ -<>-~]+")


def identity(item: Mapping[str, Any]) -> tuple[tuple[str, Any], ...]:
    """A flat object as something to look up."""
    return tuple(sorted((name, value) for name, value in item.items() if value is not None))


def regex_error(message: str, pattern: str, *examples: str) -> str:
    """A failed pattern in upstream's words, its odd spacing included."""
    shown = " or ".join(f"'{example}', " for example in examples)
    named = f"regex used for validation is '{pattern}'"
    return f"{message} (e.g. {shown}{named})" if shown else f"{message} ({named})"


def range_error(low: int, high: int) -> str:
    """`must be between 1 and 65535, inclusive`."""
    return f"must be between {low} and {high}, inclusive"


def each(path: Path, value: Any, messages: list[str]) -> Errors:
    """One error for each message about a value."""
    return [field.invalid(path, value, message) for message in messages] if messages else []


# --- names and strings --------------------------------------------------------------------------


def dns1035_label_errors(value: str) -> list[str]:
    """Why a value is not a DNS-1035 label."""
    errors = ["must be no more than 63 characters"] if len(value.encode()) > 63 else []
    if not _DNS1035.fullmatch(value):
        text = (
            "a DNS-1035 label must consist of lower case alphanumeric characters or '-', "
            "start with an alphabetic character, and end with an alphanumeric character"
        )
        errors.append(regex_error(text, _DNS1035.pattern, "my-name", "abc-123"))
    return errors


def underscore_subdomain_errors(value: str) -> list[str]:
    """Why a value is not a DNS-1123 subdomain in which underscores may stand."""
    errors = ["must be no more than 253 characters"] if len(value.encode()) > 253 else []
    if not _UNDERSCORE_SUBDOMAIN.fullmatch(value):
        text = (
            "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '_', '-' or '.', "
            "and must start and end with an alphanumeric character"
        )
        errors.append(regex_error(text, _UNDERSCORE_SUBDOMAIN.pattern, "example.com"))
    return errors


def config_key_errors(value: str) -> list[str]:
    """Why a value cannot be a key of a ConfigMap or Secret."""
    errors = ["must be no more than 253 characters"] if len(value.encode()) > 253 else []
    if not _CONFIG_KEY.fullmatch(value):
        text = "a valid config key must consist of alphanumeric characters, '-', '_' or '.'"
        errors.append(regex_error(text, _CONFIG_KEY.pattern, "key.name", "KEY_NAME", "key-name"))
    if value in (".", ".."):
        errors.append(f"must not be '{value}'")
    elif value.startswith(".."):
        errors.append("must not start with '..'")
    return errors


def env_name_errors(value: str) -> list[str]:
    """Why a value cannot name an environment variable: printable ASCII but '='."""
    if not value:
        return ["environment variable name must be non-empty"]
    if _RELAXED_ENV.fullmatch(value):
        return []
    return ["a valid environment variable name must consist only of printable ASCII characters other than '='"]


def http_header_errors(value: str) -> list[str]:
    """Why a value cannot name an HTTP header."""
    if _HTTP_HEADER.fullmatch(value):
        return []
    text = "a valid HTTP header must consist of alphanumeric characters or '-'"
    return [regex_error(text, _HTTP_HEADER.pattern, "X-Header-Name")]


def dns_label(path: Path, value: str) -> Errors:
    """The value is a DNS-1123 label."""
    return each(path, value, dns1123_label_errors(value))


def dns_subdomain(path: Path, value: str) -> Errors:
    """The value is a DNS-1123 subdomain."""
    return each(path, value, dns1123_subdomain_errors(value))


def qualified_name(path: Path, value: str) -> Errors:
    """The value is a qualified name, as a label's key is."""
    return each(path, value, label_key_errors(value))


def domain_prefixed_path(path: Path, value: str) -> Errors:
    """`acme.io/foo` (IsDomainPrefixedPath)."""
    if not value:
        return [field.required(path)]
    host, slash, rest = value.partition("/")
    if not (host and slash and rest):
        return [field.invalid(path, value, 'must be a domain-prefixed path (such as "acme.io/foo")')]
    errors = dns_subdomain(path, host)
    if not _HTTP_PATH.fullmatch(rest):
        errors.append(field.invalid(path, rest, regex_error("Invalid path", _HTTP_PATH.pattern)))
    return errors


def enum(path: Path, value: Any, valid: Sequence[str], *, needed: bool = True) -> Errors:
    """The value is one of those named; "" counts as missing where one is needed."""
    if value in valid:
        return []
    if value in (None, ""):
        return [field.required(path)] if needed else []
    return [field.not_supported(path, value, valid)]


# --- numbers ------------------------------------------------------------------------------------


def not_negative(path: Path, value: int | None) -> Errors:
    """The number is zero or more; absent counts as zero."""
    return [field.invalid(path, value, NOT_NEGATIVE)] if value is not None and value < 0 else []


def not_negative_fields(path: Path, obj: Mapping[str, Any], names: Sequence[str]) -> Errors:
    """All the named numbers are zero or more."""
    return [error for name in names if (obj.get(name) or 0) < 0 for error in not_negative(path / name, obj[name])]


def port_number(path: Path, value: int) -> Errors:
    """A port: 1 to 65535."""
    return [] if 1 <= value <= 65535 else [field.invalid(path, value, range_error(1, 65535))]


def unix_id(path: Path, value: int | None) -> Errors:
    """A user or group: 0 to 2147483647."""
    if value is None or 0 <= value <= MAX_INT32:
        return []
    return [field.invalid(path, value, range_error(0, MAX_INT32))]


def port_name_errors(value: str) -> list[str]:
    """Why a value cannot name a port (IANA service name)."""
    errors = ["must be no more than 15 characters"] if len(value.encode()) > 15 else []
    if not _PORT_NAME.fullmatch(value):
        errors.append("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)")
    if not any("a" <= char <= "z" for char in value):
        errors.append("must contain at least one letter (a-z)")
    if "--" in value:
        errors.append("must not contain consecutive hyphens")
    if value.startswith("-") or value.endswith("-"):
        errors.append("must not begin or end with a hyphen")
    return errors


def port_number_or_name(path: Path, value: int | str) -> Errors:
    """An IntOrString that means a port."""
    if isinstance(value, str):
        return each(path, value, port_name_errors(value))
    return port_number(path, value)


@lru_cache(maxsize=4096)
def quantity(text: str) -> Quantity:
    """A quantity that passed decoding; the same few texts come again and again."""
    return Quantity.parse(str(text))


# --- addresses ----------------------------------------------------------------------------------

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def _without_zeros(text: str) -> str:
    return re.sub(r"(^|\.|:)0+(?=[0-9]+(\.|$))", r"\1", text) if "." in text else text


def parse_ip(text: str) -> Address | None:
    """An address as upstream's sloppy parser takes it: leading zeros of IPv4 octets count for nothing."""
    try:
        return ipaddress.ip_address(text) if "%" not in text else None
    except ValueError:
        try:
            return ipaddress.ip_address(_without_zeros(text))
        except ValueError:
            return None


def valid_ip(path: Path, text: str, existing: Collection[str] = ()) -> Errors:
    """An address of a field older than strict checks: not necessarily canonical. `existing` were there before the update."""
    if text in existing:
        return []
    address = parse_ip(text)
    if address is None:
        return [field.invalid(path, text, "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)")]
    errors: Errors = []
    if "." in text and _without_zeros(text) != text:
        errors.append(field.invalid(path, text, "must not have leading 0s"))
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        errors.append(field.invalid(path, text, "must not be an IPv4-mapped IPv6 address"))
    return errors


def valid_cidr(path: Path, text: str, existing: Collection[str] = ()) -> Errors:
    """A network of a field older than strict checks."""
    if text in existing:
        return []
    host, slash, prefix = text.partition("/")
    address = parse_ip(host)
    bits = address.max_prefixlen if address is not None else 0
    if address is None or not slash or not re.fullmatch(r"[0-9]{1,5}", prefix) or int(prefix) > bits:
        return [field.invalid(path, text, "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)")]
    if ("." in host and _without_zeros(host) != host) or (len(prefix) > 1 and prefix[0] == "0"):
        return [field.invalid(path, text, "must not have leading 0s in IP or prefix length")]
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        return [field.invalid(path, text, "must not have an IPv4-mapped IPv6 address")]
    if int(address) & ((1 << (bits - int(prefix))) - 1):
        return [field.invalid(path, text, "must not have bits set beyond the prefix length")]
    return []


def not_special_ip(path: Path, text: str) -> Errors:
    """An address that others can reach (core ValidateNonSpecialIP)."""
    address = parse_ip(text)
    if address is None:
        return [field.invalid(path, text, "must be a valid IP address")]
    errors: Errors = []
    if address.is_unspecified:
        errors.append(field.invalid(path, text, f"may not be unspecified ({text})"))
    if address.is_loopback:
        errors.append(field.invalid(path, text, "may not be in the loopback range (127.0.0.0/8, ::1/128)"))
    if address.is_link_local:
        errors.append(field.invalid(path, text, "may not be in the link-local range (169.254.0.0/16, fe80::/10)"))
    if address in (_LINK_LOCAL_MULTICAST_4 if address.version == 4 else _LINK_LOCAL_MULTICAST_6):
        why = "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)"
        errors.append(field.invalid(path, text, why))
    return errors


_LINK_LOCAL_MULTICAST_4 = ipaddress.ip_network("224.0.0.0/24")
_LINK_LOCAL_MULTICAST_6 = ipaddress.ip_network("ff02::/16")


def dual_stack(texts: Sequence[str]) -> bool:
    """Both IP families are among the addresses or networks."""
    families = {a.version for t in texts if (a := parse_ip(t.partition("/")[0])) is not None}
    return families == {4, 6}


# --- selectors ----------------------------------------------------------------------------------


def label_map(path: Path, labels: Mapping[str, str] | None) -> Errors:
    """Keys and values of labels (ValidateLabels): the path names the map, not the key."""
    errors: Errors = []
    for key, value in (labels or {}).items():
        errors += each(path, key, label_key_errors(key))
        errors += each(path, value, label_value_errors(value))
    return errors


def label_selector(path: Path, selector: Mapping[str, Any] | None) -> Errors:
    """A metav1.LabelSelector."""
    if not selector:
        return []
    errors = label_map(path / "matchLabels", selector.get("matchLabels"))
    for index, requirement in enumerate(selector.get("matchExpressions") or ()):
        errors += _requirement(path / "matchExpressions" / index, requirement)
    return errors


def _requirement(path: Path, requirement: Mapping[str, Any]) -> Errors:
    errors: Errors = []
    operator, values = requirement.get("operator") or "", requirement.get("values") or ()
    if operator in ("In", "NotIn"):
        if not values:
            errors.append(field.required(path / "values", "must be specified when `operator` is 'In' or 'NotIn'"))
    elif operator in ("Exists", "DoesNotExist"):
        if values:
            why = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
            errors.append(field.forbidden(path / "values", why))
    else:
        errors.append(field.invalid(path / "operator", operator, "not a valid selector operator"))
    errors += qualified_name(path / "key", requirement.get("key") or "")
    for index, value in enumerate(values):
        errors += each(path / "values" / index, value, label_value_errors(value))
    return errors


# --- comparing ----------------------------------------------------------------------------------


def stripped(value: Any) -> Any:
    """The value without what Go counts as nil: null, empty lists and maps."""
    if isinstance(value, dict):
        kept = {key: stripped(item) for key, item in value.items()}
        return {key: item for key, item in kept.items() if item is not None and item != [] and item != {}}
    return [stripped(item) for item in value] if isinstance(value, list) else value


def same(one: Any, other: Any) -> bool:
    """Equal in the sense of apimachinery's Semantic.DeepEqual."""
    return bool(one == other or stripped(one) == stripped(other) or (not one and not other and type(one) is not bool))


def immutable(path: Path, new: Any, old: Any) -> Errors:
    """The field keeps its value."""
    return [] if same(new, old) else [field.invalid(path, new, IMMUTABLE)]


def difference(old: Any, new: Any, name: str = "") -> list[str]:
    """What changed, one line a value: `- spec.a: 1` and `+ spec.a: 2`, in the place of upstream's cmp.Diff."""
    if isinstance(old, dict) and isinstance(new, dict):
        keys = [*old, *(key for key in new if key not in old)]
        at = f"{name}." if name else ""
        return [line for key in keys for line in difference(old.get(key), new.get(key), f"{at}{key}")]
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        pairs = enumerate(zip(old, new, strict=True))
        return [line for index, (a, b) in pairs for line in difference(a, b, f"{name}[{index}]")]
    if same(old, new):
        return []
    lines = [f"- \t{name}: {field.quote(old)}"] if old is not None else []
    return lines + ([f"+ \t{name}: {field.quote(new)}"] if new is not None else [])


def go_names(value: Any) -> Any:
    """An object as Go prints its internal type in messages: keys in capitals."""
    if isinstance(value, dict):
        return {f"{key[:1].upper()}{key[1:]}": go_names(item) for key, item in value.items()}
    return [go_names(item) for item in value] if isinstance(value, list) else value


# --- paths in file systems ----------------------------------------------------------------------


def no_backsteps(path: Path, target: str) -> Errors:
    """No element of the path is `..`."""
    return [field.invalid(path, target, "must not contain '..'")] if ".." in target.split("/") else []


def descending_path(path: Path, target: str) -> Errors:
    """A relative path without backsteps."""
    errors = [field.invalid(path, target, "must be a relative path")] if target.startswith("/") else []
    return errors + no_backsteps(path, target)


def unreserved_path(path: Path, target: str) -> Errors:
    """A descending path that does not begin with two dots."""
    errors = descending_path(path, target)
    if target.startswith("..") and not target.startswith("../"):
        errors.append(field.invalid(path, target, "must not start with '..'"))
    return errors


def file_mode(path: Path, mode: int | None) -> Errors:
    """Permission bits."""
    if mode is None or 0 <= mode <= 0o777:
        return []
    return [field.invalid(path, mode, "must be a number between 0 and 0777 (octal), both inclusive")]
