"""Policies in a file, one a line (upstream: pkg/auth/authorizer/abac, pkg/apis/abac). The file is read at the start alone."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from pybernetes.api.wellknown import ALL_AUTHENTICATED

from ..authentication.user import User
from ..types import Decision, RequestInfo

_log = logging.getLogger(__name__)

API_VERSION, KIND = "abac.authorization.kubernetes.io/v1beta1", "Policy"
MAX_LINE = 64 << 10  # bytes, as of Go's bufio.Scanner
READING = ("get", "list", "watch")
NO_MATCH = Decision(reason="No policy matched.")
ALLOWED = Decision(allowed=True)


class PolicyError(ValueError):
    """A file that cannot be used; the text names file and line."""


@dataclass(frozen=True, slots=True)
class Policy:
    """Who (a user, a group) may do what (resources, or paths that are none), only read it if `readonly`. "*" stands for any."""

    user: str = ""
    group: str = ""
    readonly: bool = False
    api_group: str = ""
    namespace: str = ""
    resource: str = ""
    path: str = ""

    def is_about(self, user: User) -> bool:
        """Whether the user is meant: a policy of nobody is about nobody."""
        if self.user not in ("", "*", user.name):
            return False
        if self.group and self.group != "*" and self.group not in user.groups:
            return False
        return bool(self.user or self.group)

    def allows(self, user: User, info: RequestInfo) -> bool:
        """Whether it lets the request through."""
        if not self.is_about(user) or (self.readonly and info.verb not in READING):
            return False
        if not info.is_resource:
            return self._has_path(info.path)
        return (
            self.namespace in ("*", info.namespace)
            and self.resource in ("*", info.resource)
            and self.api_group in ("*", info.group)
        )

    def _has_path(self, path: str) -> bool:
        if self.path.endswith("*"):
            return path.startswith(self.path.rstrip("*"))
        return self.path == path


def load(path: str) -> list[Policy]:
    """The policies of a file. PolicyError."""
    try:
        lines = Path(path).read_bytes().split(b"\n")
    except OSError as error:
        raise PolicyError(f"open {path}: {(error.strerror or str(error)).lower()}") from error
    policies, unversioned = [], False
    for number, line in enumerate(lines, 1):
        text = line.strip()
        if not text or text.startswith(b"#"):
            continue
        if len(line) > MAX_LINE:
            raise PolicyError(f"error reading policy file {path}: bufio.Scanner: token too long: line {number}")
        try:
            policy, versioned = parse(text)
        except PolicyError as error:
            shown = text.decode(errors="replace")
            raise PolicyError(f"error reading policy file {path}, line {number}: {shown}: {error}") from None
        unversioned |= not versioned
        policies.append(policy)
    if unversioned:
        _log.warning(
            "Policy file %s contained unversioned rules. See docs/admin/authorization.md#abac-mode for ABAC file format "
            "details.",
            path,
        )
    return policies


def parse(line: bytes) -> tuple[Policy, bool]:
    """A line, and whether it says of which version it is. PolicyError."""
    try:
        document: Any = msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise PolicyError(f"couldn't get version/kind; json parse error: {error}") from None
    if not isinstance(document, dict):
        raise PolicyError("couldn't get version/kind; json parse error: the line is no object")
    if (document.get("apiVersion"), document.get("kind")) == (API_VERSION, KIND):
        spec = document.get("spec", {})
        if not isinstance(spec, dict):
            raise PolicyError("spec is no object")
        return _versioned(spec), True
    if document.get("apiVersion") and document.get("kind"):
        raise PolicyError(
            f'no kind "{document["kind"]}" is registered for version "{document["apiVersion"]}": want {KIND} of {API_VERSION}'
        )
    return _unversioned(document), False


def _versioned(spec: Mapping[str, Any]) -> Policy:
    user, group = _text(spec, "user"), _text(spec, "group")
    if "*" in (user, group):  # anybody who is somebody
        user, group = "", ALL_AUTHENTICATED
    return Policy(
        user,
        group,
        _flag(spec, "readonly"),
        _text(spec, "apiGroup"),
        _text(spec, "namespace"),
        _text(spec, "resource"),
        _text(spec, "nonResourcePath"),
    )


def _unversioned(document: Mapping[str, Any]) -> Policy:
    """As policies were before they had a version: what is left out stands for all."""
    user, group = _text(document, "user"), _text(document, "group")
    namespace, resource = _text(document, "namespace"), _text(document, "resource")
    if "*" in (user, group) or not (user or group):
        user, group = "", ALL_AUTHENTICATED
    path = "*" if not namespace and not resource else ""
    return Policy(user, group, _flag(document, "readonly"), "*", namespace or "*", resource or "*", path)


def _text(given: Mapping[str, Any], name: str) -> str:
    value = given.get(name)
    if isinstance(value, str | None):
        return value or ""
    raise PolicyError(f"{name} must be text: {value!r}")


def _flag(given: Mapping[str, Any], name: str) -> bool:
    value = given.get(name)
    if isinstance(value, bool | None):
        return bool(value)
    raise PolicyError(f"{name} must be true or false: {value!r}")


class ABAC:
    """See `types.Authorizer`."""

    def __init__(self, policies: Sequence[Policy]) -> None:
        self._policies = policies

    async def authorize(self, user: User, info: RequestInfo) -> Decision:
        return ALLOWED if any(policy.allows(user, info) for policy in self._policies) else NO_MATCH

    def rules_for(self, user: User, namespace: str) -> tuple[list[dict[str, Any]], list[str]]:
        """See `modes.RuleResolver`."""
        rules: list[dict[str, Any]] = []
        for policy in self._policies:
            if not policy.is_about(user) or policy.namespace not in ("*", namespace):
                continue
            verbs = list(READING) if policy.readonly else ["*"]
            if policy.resource:
                rules.append({"verbs": verbs, "apiGroups": [policy.api_group], "resources": [policy.resource]})
            if policy.path:
                rules.append({"verbs": verbs, "nonResourceURLs": [policy.path]})
        return rules, []
