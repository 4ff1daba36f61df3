"""A webhook of a configuration, read once (upstream: webhook/accessors.go). Pure."""

from __future__ import annotations

import base64
import binascii
from collections import Counter
from dataclasses import dataclass
from typing import Any

from pybernetes.api.labels import Selector, selector_from_dict

from ...resource import Object
from .rules import Rule

DEFAULT_SECONDS = 10  # of configurations that are stored without it
DEFAULT_PORT = 443


@dataclass(frozen=True, slots=True)
class ServiceReference:
    """Where a webhook listens behind a Service."""

    namespace: str
    name: str
    port: int = DEFAULT_PORT
    path: str = ""


@dataclass(frozen=True, slots=True)
class ClientConfig:
    """How a webhook is reached: a URL, or a Service. `ca` is PEM, b"" for the system's authorities."""

    url: str = ""
    service: ServiceReference | None = None
    ca: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hook:
    """One webhook. `uid` tells those of the same name apart."""

    uid: str
    configuration: str
    name: str
    client: ClientConfig
    rules: tuple[Rule, ...]
    equivalent: bool  # matchPolicy
    namespaces: Selector
    objects: Selector
    ignore: bool  # failurePolicy
    timeout: int  # seconds
    side_effects: str
    versions: tuple[str, ...]  # of AdmissionReview
    reinvoke: bool  # reinvocationPolicy IfNeeded
    conditions: tuple[str, ...]  # expressions of matchConditions


def read(configuration: Object) -> list[Hook]:
    """The webhooks of a configuration in their order. ValueError for selectors and certificates that none could have stored."""
    name = configuration["metadata"]["name"]
    seen: Counter[str] = Counter()
    hooks = []
    for hook in configuration.get("webhooks") or ():
        hooks.append(_hook(name, hook, seen[hook["name"]]))
        seen[hook["name"]] += 1
    return hooks


def _hook(configuration: str, hook: Object, index: int) -> Hook:
    return Hook(
        uid=f"{configuration}/{hook['name']}/{index}",
        configuration=configuration,
        name=hook["name"],
        client=_client(hook.get("clientConfig") or {}),
        rules=tuple(Rule.read(rule) for rule in hook.get("rules") or ()),
        equivalent=hook.get("matchPolicy", "Equivalent") == "Equivalent",
        namespaces=selector_from_dict(hook.get("namespaceSelector") or {}),
        objects=selector_from_dict(hook.get("objectSelector") or {}),
        ignore=hook.get("failurePolicy") == "Ignore",
        timeout=hook.get("timeoutSeconds") or DEFAULT_SECONDS,
        side_effects=hook.get("sideEffects") or "",
        versions=tuple(hook.get("admissionReviewVersions") or ()),
        reinvoke=hook.get("reinvocationPolicy") == "IfNeeded",
        conditions=tuple(condition["expression"] for condition in hook.get("matchConditions") or ()),
    )


def _client(config: dict[str, Any]) -> ClientConfig:
    try:
        ca = base64.b64decode(config.get("caBundle") or "", validate=True)
    except binascii.Error as error:
        raise ValueError(f"caBundle is no base64: {error}") from None
    service = config.get("service")
    if service is None:
        return ClientConfig(config.get("url") or "", None, ca)
    port = service.get("port") or DEFAULT_PORT
    reference = ServiceReference(service["namespace"], service["name"], port, service.get("path") or "")
    return ClientConfig("", reference, ca)
