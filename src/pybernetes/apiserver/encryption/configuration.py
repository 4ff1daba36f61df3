"""apiserver.config.k8s.io/v1 EncryptionConfiguration: its defaults and its rules. Pure.

Upstream: apiserver/pkg/apis/apiserver (v1/defaults.go, validation/validation_encryption.go).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import urlsplit

from pybernetes.api import durations, field, gobase64
from pybernetes.api.field import FieldError
from pybernetes.api.field import Path as FieldPath

from .. import configdocument
from ..configdocument import DocumentError, Object, Shape

# The second by an old mistake in upstream's documentation.
KINDS = (("apiserver.config.k8s.io/v1", "EncryptionConfiguration"), ("v1", "EncryptionConfig"))
_KEYS: Shape = {"keys": [{"name": str, "secret": str}]}
_KMS: Shape = {"apiVersion": str, "name": str, "endpoint": str, "cachesize": int, "timeout": str}
_PROVIDER: Shape = {
    "aesgcm": _KEYS,
    "aescbc": _KEYS,
    "secretbox": _KEYS,
    "identity": configdocument.NOTHING,
    "kms": _KMS,
}
SHAPE: dict[str, Shape] = {"resources": [{"resources": [str], "providers": [_PROVIDER]}]}

AES_KEY_SIZES, SECRETBOX_KEY_SIZES = (16, 24, 32), (32,)
DEFAULT_TIMEOUT, DEFAULT_CACHE_SIZE = "3s", 1000
UNSERVED = ("apiserveripinfo", "serviceipallocations", "servicenodeportallocations")
OVERLAP = "using overlapping resources such as 'secrets' and '*.' in the same resource list is not allowed as they will be masked"
NO_PROVIDER = "provider does not contain any of the expected providers: KMS, AESGCM, AESCBC, Secretbox, Identity"
TWO_PROVIDERS = "more than one provider specified in a single element, should split into different list elements"
ONLY_EVENTS = (
    "'*.events.k8s.io' objects are stored using the 'events' API group in etcd. Use 'events' instead in the config file"
)

GroupResource = tuple[str, str]  # (group, resource); "*" for any
ANY: GroupResource = ("*", "*")


def group_resource(text: str) -> GroupResource:
    """Of RESOURCE[.GROUP]."""
    resource, _, group = text.partition(".")
    return group, resource


def told(one: GroupResource) -> str:
    """As the file has it."""
    group, resource = one
    return f"{resource}.{group}" if group or resource == "*" else resource


def parse(data: bytes, reload: bool = False) -> list[Object]:
    """The entries of `resources`, with defaults. `reload`: the file is followed, which forbids more. DocumentError."""
    entries: list[Object] = configdocument.decode(data, KINDS, SHAPE).get("resources", [])
    for entry in entries:
        for provider in entry.get("providers", []):
            if "kms" in provider:
                _default(provider["kms"])
    problems = list(validate(entries, reload))
    if problems:
        raise DocumentError(field.aggregate(problems))
    return entries


def _default(kms: Object) -> None:
    kms.setdefault("timeout", DEFAULT_TIMEOUT)
    kms["apiVersion"] = kms.get("apiVersion") or "v1"
    if kms["apiVersion"] == "v1":
        kms.setdefault("cachesize", DEFAULT_CACHE_SIZE)


def validate(entries: Sequence[Object], reload: bool) -> Iterator[FieldError]:
    """What is wrong, in upstream's order and words. Secrets are never shown."""
    root = FieldPath("resources")
    if not entries:
        yield field.required(root, f"at least one {root} is required")
        return
    names: set[str] = set()  # of KMS plug-ins
    for number, entry in enumerate(entries):
        resources, providers = root / number / "resources", root / number / "providers"
        given: list[str] = entry.get("resources", [])
        if not given:
            yield field.required(resources, f"at least one {resources} is required")
        yield from _overlaps(given, resources)
        for place, name in enumerate(given):
            why = _unfit(name)
            if why:
                yield field.invalid(resources / place, name, why)
        if not entry.get("providers"):
            yield field.required(providers, f"at least one {providers} is required")
        for place, provider in enumerate(entry.get("providers", [])):
            yield from _provider(provider, providers / place, names, reload)


def _overlaps(given: Sequence[str], path: FieldPath) -> Iterator[FieldError]:
    parsed = [group_resource(name) for name in given]
    if len(set(parsed)) < len(parsed):
        yield field.invalid(path, list(given), "the same resource cannot be specified multiple times")
    others = set(parsed)
    starred = {group for group, resource in others if resource == "*"}
    masked = (ANY in others and len(others) > 1) or any(
        group in starred and resource != "*" for group, resource in others
    )
    if masked:
        yield field.invalid(path, list(given), OVERLAP)


def _unfit(name: str) -> str:
    group, resource = group_resource(name)
    if name.lower() != name:
        return "resource name should not contain capital letters"
    if name == "*":
        return "use '*.' to encrypt all the resources from core API group or *.* to encrypt all resources"
    if name in UNSERVED:
        return "resources which do not have REST API/s cannot be encrypted"
    if group == "events.k8s.io":
        return ONLY_EVENTS
    if group == "extensions":
        return "'extensions' group has been removed and cannot be used for encryption"
    if group == "*" and resource != "*":
        return "encrypting the same resource across groups is not supported"
    return ""


def _provider(provider: Object, path: FieldPath, names: set[str], reload: bool) -> Iterator[FieldError]:
    if len(provider) != 1:
        yield field.invalid(path, field.OMITTED, TWO_PROVIDERS if provider else NO_PROVIDER)
    if "kms" in provider:
        yield from _kms(provider["kms"], path / "kms", names, reload)
        names.add(provider["kms"].get("name", ""))
        return
    for name, sizes in (("aesgcm", AES_KEY_SIZES), ("aescbc", AES_KEY_SIZES), ("secretbox", SECRETBOX_KEY_SIZES)):
        if name in provider:
            yield from _keys(provider[name].get("keys", []), path / name / "keys", sizes)
            return


def _keys(keys: Sequence[Object], path: FieldPath, sizes: Sequence[int]) -> Iterator[FieldError]:
    if not keys:
        yield field.required(path, "at least one keys is required")
    for number, key in enumerate(keys):
        if not key.get("name"):
            yield field.required(path / number / "name", "name is a mandatory field for a key")
        place = path / number / "secret"
        if not key.get("secret"):
            yield field.required(place, "secret is a mandatory field for a key")
            continue
        try:
            secret = gobase64.decode(key["secret"])
        except gobase64.IllegalBase64:
            yield field.invalid(place, "REDACTED", "secrets must be base64 encoded")
            continue
        if len(secret) not in sizes:
            expected = f"got {len(secret)}, expected one of [{' '.join(map(str, sizes))}]"
            yield field.invalid(place, "REDACTED", f"secret is not of the expected length, {expected}")


def _kms(kms: Object, path: FieldPath, names: set[str], reload: bool) -> Iterator[FieldError]:
    name, version = kms.get("name", ""), kms["apiVersion"]
    if not name:
        yield field.required(path / "name", "name is a mandatory field for a provider")
    if version != "v1" and ":" in name:
        yield field.invalid(path / "name", name, f"invalid KMS provider name {name}, must not contain ':'")
    if (reload or version != "v1") and name in names:
        yield field.invalid(path / "name", name, f"duplicate KMS provider name {name}, names must be unique")
    yield from _timeout(kms["timeout"], path / "timeout")
    yield from _endpoint(kms.get("endpoint", ""), path / "endpoint")
    size = kms.get("cachesize")
    if version != "v1" and size is not None:
        yield field.invalid(path / "cachesize", size, "cachesize is not supported in v2")
    if version == "v1" and size == 0:
        yield field.invalid(path / "cachesize", size, "cachesize should be a positive value, or negative to disable")
    if version not in ("v1", "v2"):
        text = "unsupported apiVersion apiVersion for KMS provider, only v1 and v2 are supported"
        yield field.invalid(path / "apiVersion", version, text)


def _timeout(text: Any, path: FieldPath) -> Iterator[FieldError]:
    try:
        seconds = durations.parse_duration(text)
    except ValueError as error:
        yield field.invalid(path, text, str(error))
        return
    if seconds <= 0:
        yield field.invalid(path, text, "timeout should be a positive value")


def _endpoint(endpoint: str, path: FieldPath) -> Iterator[FieldError]:
    if not endpoint:
        yield field.invalid(path, "", "endpoint is a mandatory field for a kms")
        return
    try:
        scheme = urlsplit(endpoint).scheme
    except ValueError as error:
        yield field.invalid(path, endpoint, f"invalid endpoint for kms provider, error: {error}")
        return
    if scheme != "unix":
        text = f"unsupported scheme {field.quote(scheme)} for KMS provider, only unix is supported"
        yield field.invalid(path, endpoint, text)
