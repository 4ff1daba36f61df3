"""What validating and mutating webhooks share (upstream: pkg/apis/admissionregistration/{v1/defaults.go,validation})."""

from __future__ import annotations

import re
from collections.abc import Container, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from pybernetes.api import field
from pybernetes.api.field import Path
from pybernetes.api.names import dns1123_subdomain_errors

from ...resource import Object
from ..validation import Errors, dns1035_label_errors, each, label_selector, range_error
from . import rules

REVIEW_VERSIONS = ("v1", "v1beta1")
SIDE_EFFECTS = ("None", "NoneOnDryRun")
ANY_SIDE_EFFECTS = (*SIDE_EFFECTS, "Some", "Unknown")
PORT, TIMEOUT_SECONDS, MAX_SECONDS = 443, 10, 30
FORM = "; desired format: https://host[/path]"

Hook = Mapping[str, Any]


def default(configuration: Object, mutating: bool) -> None:
    """SetDefaults_{Validating,Mutating}Webhook."""
    for hook in configuration.get("webhooks") or ():
        values: dict[str, Any] = {
            "failurePolicy": "Fail",
            "matchPolicy": "Equivalent",
            "namespaceSelector": {},
            "objectSelector": {},
            "timeoutSeconds": TIMEOUT_SECONDS,
        }
        if mutating:
            values["reinvocationPolicy"] = "Never"
        for name, value in values.items():
            if hook.get(name) is None:
                hook[name] = value
        for rule in hook.get("rules") or ():
            rules.default_rule(rule)
        service = (hook.get("clientConfig") or {}).get("service")
        if service is not None and service.get("port") is None:
            service["port"] = PORT


def validate(configuration: Object, mutating: bool, old: Object | None = None, beta: bool = False) -> Errors:
    """All of its webhooks. Conditions that were there before an update are not read again, and what v1 refuses may stay.

    `beta`: as v1beta1, in which webhooks may do anything besides, and share names.
    """
    present = (old or {}).get("webhooks") or ()
    any_effects = beta or any(hook.get("sideEffects") not in SIDE_EFFECTS for hook in present)
    effects = ANY_SIDE_EFFECTS if any_effects else SIDE_EFFECTS
    before = [hook.get("name") for hook in present]
    any_names = beta or len(set(before)) < len(before)
    existing = {
        item.get("expression")
        for hook in (old or {}).get("webhooks") or ()
        for item in hook.get("matchConditions") or ()
    }
    errors: Errors = []
    seen: set[str] = set()
    for index, hook in enumerate(configuration.get("webhooks") or ()):
        at, name = Path("webhooks") / index, hook.get("name") or ""
        errors += _hook(at, hook, mutating, existing, effects)
        errors += _versions(at / "admissionReviewVersions", hook.get("admissionReviewVersions") or [])
        if name and name in seen and not any_names:
            errors.append(field.duplicate(at / "name", name))
        seen.add(name)
    return errors


def _hook(path: Path, hook: Hook, mutating: bool, existing: Container[Any], side_effects: Sequence[str]) -> Errors:
    errors = full_name(path / "name", hook.get("name") or "")
    for index, rule in enumerate(hook.get("rules") or ()):
        errors += rules.validate(path / "rules" / index, rule)
    for name, valid in (("failurePolicy", rules.FAILURE_POLICIES), ("matchPolicy", rules.MATCH_POLICIES)):
        if hook.get(name) is not None and hook[name] not in valid:
            errors.append(field.not_supported(path / name, hook[name], valid))
    effects = hook.get("sideEffects")
    if effects is None:
        errors.append(field.required(path / "sideEffects", f"must specify one of {', '.join(side_effects)}"))
    elif effects not in side_effects:
        errors.append(field.not_supported(path / "sideEffects", effects, side_effects))
    seconds = hook.get("timeoutSeconds")
    if seconds is not None and not 1 <= seconds <= MAX_SECONDS:
        why = f"the timeout value must be between 1 and {MAX_SECONDS} seconds"
        errors.append(field.invalid(path / "timeoutSeconds", seconds, why))
    for name in ("namespaceSelector", "objectSelector"):
        errors += label_selector(path / name, hook.get(name))
    policy = hook.get("reinvocationPolicy")
    if mutating and policy is not None and policy not in rules.REINVOCATION_POLICIES:
        errors.append(field.not_supported(path / "reinvocationPolicy", policy, rules.REINVOCATION_POLICIES))
    errors += client(path / "clientConfig", hook.get("clientConfig") or {})
    return errors + rules.conditions(path / "matchConditions", hook.get("matchConditions") or (), existing)


def full_name(path: Path, name: str) -> Errors:
    """A domain of three parts at least (IsFullyQualifiedName)."""
    if not name:
        return [field.required(path)]
    if whys := dns1123_subdomain_errors(name):
        return [field.invalid(path, name, ",".join(whys))]
    if name.count(".") < 2:
        why = "should be a domain with at least three segments separated by dots"
        return [field.invalid(path, name, why)]
    return []


def _versions(path: Path, versions: Sequence[str]) -> Errors:
    supported = ", ".join(REVIEW_VERSIONS)
    if not versions:
        return [field.required(path, f"must specify one of {supported}")]
    errors: Errors = []
    again = {index for index, _ in field.repeats(versions)}
    for index, version in enumerate(versions):
        if index in again:
            errors.append(field.invalid(path / index, version, "duplicate version"))
        else:
            errors += each(path / index, version, dns1035_label_errors(version))
    if not set(versions) & set(REVIEW_VERSIONS):
        errors.append(field.invalid(path, versions, f"must include at least one of {supported}"))
    return errors


# --- how it is called ---------------------------------------------------------------------------


def client(path: Path, config: Mapping[str, Any]) -> Errors:
    """A WebhookClientConfig: a URL or a Service."""
    url, service = config.get("url"), config.get("service")
    if (url is None) == (service is None):
        return [field.required(path, "exactly one of url or service is required")]
    return _url(path / "url", url) if url is not None else _service(path / "service", service or {})


_PORT = re.compile(r"(?::[0-9]*)?", re.ASCII)  # behind a name, or behind an address in brackets
_AUTHORITY = re.compile(r"(?:[a-zA-Z][a-zA-Z0-9+.-]*:)?//(?:[^/?#]*@)?([^/?#]*)")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_ESCAPE = re.compile(r"%(?![0-9a-fA-F]{2}).{0,2}")
_NO_HOST = re.compile(r"(?![^\x00-\x7f])[^a-zA-Z0-9._~!$&'()*+,;=:\[\]<>\"%-]")


def _parse_problem(text: str) -> str:
    """Why Go's net/url cannot parse it, "" where it can: Python's cuts line ends out and takes blanks for names."""
    if _CONTROL.search(text):
        return "net/url: invalid control character in URL"
    authority = _AUTHORITY.match(text)
    host = authority[1] if authority else ""
    if host.startswith("[") and "]" not in host:
        return "missing ']' in host"
    port = host.rpartition("]")[2] if host.startswith("[") else f":{host.rpartition(':')[2]}"
    if ":" in host and not _PORT.fullmatch(port):
        return f"invalid port {field.quote(port)} after host"
    if escape := _ESCAPE.search(host):
        return f"invalid URL escape {field.quote(escape[0])}"
    if character := _NO_HOST.search(host):
        return f"invalid character {field.quote(character[0])} in host name"
    return ""


def _url(path: Path, text: str) -> Errors:
    why = _parse_problem(text)
    try:
        parts = urlsplit("" if why else text)
    except ValueError as error:
        why = str(error)
    if why:
        return [field.required(path, f"url must be a valid URL: parse {field.quote(text)}: {why}{FORM}")]
    user, at, host = parts.netloc.rpartition("@")
    errors: Errors = []
    if parts.scheme != "https":
        errors.append(field.invalid(path, parts.scheme, f"'https' is the only allowed URL scheme{FORM}"))
    if not host:
        errors.append(field.invalid(path, host, f"host must be specified{FORM}"))
    if at:
        errors.append(field.invalid(path, user, "user information is not permitted in the URL"))
    if parts.fragment:
        errors.append(field.invalid(path, parts.fragment, "fragments are not permitted in the URL"))
    if parts.query:
        errors.append(field.invalid(path, parts.query, "query parameters are not permitted in the URL"))
    return errors


def _service(path: Path, service: Mapping[str, Any]) -> Errors:
    errors: Errors = []
    for name in ("name", "namespace"):
        if not service.get(name):
            errors.append(field.required(path / name, f"service {name} is required"))
    port = service.get("port") or 0
    if not 1 <= port <= 65535:
        errors.append(field.invalid(path / "port", port, f"port is not valid: {range_error(1, 65535)}"))
    return errors + _path(path / "path", service.get("path") or "")


def _path(at: Path, text: str) -> Errors:
    if text in ("", "/"):
        return []
    if text == "//":
        return [field.invalid(at, text, "segment[0] may not be empty")]
    errors = [] if text.startswith("/") else [field.invalid(at, text, "must start with a '/'")]
    for index, step in enumerate(text[1:].removesuffix("/").split("/")):
        if not step:
            errors.append(field.invalid(at, text, f"segment[{index}] may not be empty"))
            continue
        errors += [field.invalid(at, text, f"segment[{index}]: {why}") for why in dns1123_subdomain_errors(step)]
    return errors
