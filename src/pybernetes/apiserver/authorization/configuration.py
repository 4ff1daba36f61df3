"""apiserver.config.k8s.io AuthorizationConfiguration: who is asked what one may, in their order, and the rules of such a file.

Upstream: apiserver/pkg/apis/apiserver/validation/validation.go, pkg/kubeapiserver/authorizer. The flags --authorization-* say the same with
one webhook.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

from pybernetes.api import durations
from pybernetes.api import field as fields
from pybernetes.api.field import FieldError
from pybernetes.api.field import Path as FieldPath
from pybernetes.api.names import dns1123_subdomain_errors
from pybernetes.cel.accessreview import review_environment
from pybernetes.cel.environment import Environment, Program
from pybernetes.cel.errors import CompileError, InstantiationError
from pybernetes.cel.types import BOOL, go_text

from .. import configdocument
from ..configdocument import DocumentError, Object, Shape

VERSIONS = ("v1", "v1beta1", "v1alpha1")
KINDS = tuple((f"apiserver.config.k8s.io/{version}", "AuthorizationConfiguration") for version in VERSIONS)
_WEBHOOK: Shape = {
    **dict.fromkeys(("authorizedTTL", "unauthorizedTTL", "timeout"), str),
    **dict.fromkeys(("cacheAuthorizedRequests", "cacheUnauthorizedRequests"), bool),
    **dict.fromkeys(("subjectAccessReviewVersion", "matchConditionSubjectAccessReviewVersion", "failurePolicy"), str),
    "connectionInfo": {"type": str, "kubeConfigFile": str},
    "matchConditions": [{"expression": str}],
}
SHAPE: dict[str, Shape] = {"authorizers": [{"type": str, "name": str, "webhook": _WEBHOOK}]}

TYPES = ("ABAC", "AlwaysAllow", "AlwaysDeny", "Node", "RBAC", "Webhook")
WEBHOOK = "Webhook"  # the only type that may stand several times
REVIEW_VERSIONS = ("v1", "v1beta1")
NO_OPINION, DENY = "NoOpinion", "Deny"
IN_CLUSTER, KUBECONFIG = "InClusterConfig", "KubeConfigFile"
AUTHORIZED_SECONDS, UNAUTHORIZED_SECONDS, MAX_SECONDS = 300.0, 30.0, 30.0
MAX_CONDITIONS = 64
DEFAULT_NAME = "default"  # of the webhook of the flags


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookConfiguration:
    """How one webhook is asked. A TTL of 0 keeps no answers."""

    kubeconfig: str
    version: str = "v1beta1"  # of the SubjectAccessReview
    seconds: float = MAX_SECONDS  # for each try
    authorized_ttl: float = AUTHORIZED_SECONDS
    unauthorized_ttl: float = UNAUTHORIZED_SECONDS
    denies: bool = False  # failurePolicy Deny: who cannot be asked has said no
    conditions: tuple[Program, ...] = ()  # all of them must be true of what is asked


@dataclass(frozen=True, slots=True)
class AuthorizerConfiguration:
    """One authorizer; `webhook` is there with type Webhook alone."""

    type: str
    name: str
    webhook: WebhookConfiguration | None = None


def of_modes(modes: Sequence[str], webhook: WebhookConfiguration | None = None) -> tuple[AuthorizerConfiguration, ...]:
    """What --authorization-mode says."""
    return tuple(
        AuthorizerConfiguration(mode, DEFAULT_NAME, webhook)
        if mode == WEBHOOK
        else AuthorizerConfiguration(mode, mode.lower())
        for mode in modes
    )


def parse(data: bytes, needed: Sequence[str] = ()) -> tuple[AuthorizerConfiguration, ...]:
    """The authorizers of a file. `needed`: types that must be there, as they were. DocumentError."""
    document = configdocument.decode(data, KINDS, SHAPE)
    problems: list[FieldError] = []
    authorizers = list(_authorizers(document.get("authorizers", []), problems))
    if problems:
        raise DocumentError(fields.aggregate(problems))
    words = [
        f"expected name {one.type.lower()} for authorizer {one.type} instead of {one.name}"
        for one in authorizers
        if one.type != WEBHOOK and one.name != one.type.lower()
    ]
    if missing := sorted(set(needed) - {one.type for one in authorizers}):
        words.append(f"missing required types: [{' '.join(missing)}]")
    if words:
        raise DocumentError(words[0] if len(words) == 1 else f"[{', '.join(words)}]")
    return tuple(authorizers)


def _authorizers(given: Sequence[Object], problems: list[FieldError]) -> Iterator[AuthorizerConfiguration]:
    root = FieldPath("authorizers")
    if not given:
        problems.append(fields.required(root, "at least one authorization mode must be defined"))
    types, names = set[str](), set[str]()
    for number, one in enumerate(given):
        path, kind, name, webhook = root / number, one.get("type", ""), one.get("name", ""), one.get("webhook")
        if problem := _type(kind, types, path / "type"):
            problems.append(problem)
            continue
        types.add(kind)
        problems += _name(name, names, path / "name")
        names.add(name)
        if kind != WEBHOOK:
            if webhook is not None:
                why = "may only be specified when type=Webhook"
                problems.append(fields.invalid(path / "webhook", "non-null", why))
            yield AuthorizerConfiguration(kind, name)
        elif webhook is None:
            problems.append(fields.required(path / "webhook", "required when type=Webhook"))
        else:
            yield AuthorizerConfiguration(kind, name, _webhook(webhook, path, problems))


def _type(kind: str, seen: set[str], path: FieldPath) -> FieldError | None:
    if not kind:
        return fields.required(path)
    if kind not in TYPES:
        return fields.not_supported(path, kind, TYPES)
    return fields.duplicate(path, kind) if kind in seen and kind != WEBHOOK else None


def _name(name: str, seen: set[str], path: FieldPath) -> Iterator[FieldError]:
    if not name:
        yield fields.required(path)
    elif name in seen:
        yield fields.duplicate(path, name)
    elif errors := dns1123_subdomain_errors(name):
        yield fields.invalid(path, name, f"authorizer name is invalid: {', '.join(errors)}")


def _webhook(given: Object, path: FieldPath, problems: list[FieldError]) -> WebhookConfiguration:
    """Of use only where nothing was added to the problems."""
    seconds = _duration(given, "timeout", 0.0, path, problems)
    if not seconds:
        problems.append(fields.required(path / "timeout"))
    elif not 0 < seconds <= MAX_SECONDS:
        shown = durations.format_duration(seconds)
        problems.append(fields.invalid(path / "timeout", shown, "must be > 0s and <= 30s"))
    ttls = []
    for name, default in (("authorizedTTL", AUTHORIZED_SECONDS), ("unauthorizedTTL", UNAUTHORIZED_SECONDS)):
        ttl = _duration(given, name, default, path, problems) or default
        if ttl < 0:
            problems.append(fields.invalid(path / name, durations.format_duration(ttl), "must be > 0s"))
        ttls.append(ttl)
    version, policy = given.get("subjectAccessReviewVersion", ""), given.get("failurePolicy", "")
    problems += _one_of(path / "subjectAccessReviewVersion", version, REVIEW_VERSIONS)
    conditions = given.get("matchConditions", [])
    problems += _condition_version(given.get("matchConditionSubjectAccessReviewVersion", ""), conditions, path)
    problems += _one_of(path / "failurePolicy", policy, (NO_OPINION, DENY))
    problems += _connection(given.get("connectionInfo", {}), path / "connectionInfo")
    return WebhookConfiguration(
        kubeconfig=given.get("connectionInfo", {}).get("kubeConfigFile", ""),
        version=version,
        seconds=seconds,
        authorized_ttl=ttls[0] if given.get("cacheAuthorizedRequests", True) else 0.0,
        unauthorized_ttl=ttls[1] if given.get("cacheUnauthorizedRequests", True) else 0.0,
        denies=policy == DENY,
        conditions=_conditions(conditions, path / "matchConditions", problems),
    )


def _duration(given: Object, name: str, default: float, path: FieldPath, problems: list[FieldError]) -> float:
    text = given.get(name)
    if text is None:
        return default
    try:
        return durations.parse_duration(text)
    except ValueError as error:
        problems.append(fields.invalid(path / name, text, str(error)))
        return 1.0  # nothing more is said of it


def _one_of(path: FieldPath, given: str, valid: Sequence[str]) -> Iterator[FieldError]:
    if not given:
        yield fields.required(path)
    elif given not in valid:
        yield fields.not_supported(path, given, valid)


def _condition_version(version: str, conditions: Sequence[Object], path: FieldPath) -> Iterator[FieldError]:
    path = path / "matchConditionSubjectAccessReviewVersion"
    if not version and conditions:
        yield fields.required(path, "required if match conditions are specified")
    if version not in ("", "v1"):
        yield fields.not_supported(path, version, ("v1",))


def _connection(given: Object, path: FieldPath) -> Iterator[FieldError]:
    kind, file, at = given.get("type", ""), given.get("kubeConfigFile"), path / "kubeConfigFile"
    if not kind:
        yield fields.required(path / "type")
    elif kind == IN_CLUSTER:
        if file is not None:
            yield fields.invalid(at, file, "can only be set when type=KubeConfigFile")
        else:
            yield fields.invalid(path / "type", kind, "kube-apiserver would ask itself: use KubeConfigFile")
    elif kind != KUBECONFIG:
        yield fields.not_supported(path / "type", kind, (IN_CLUSTER, KUBECONFIG))
    elif not file:
        yield fields.required(at)
    elif not os.path.isabs(file):
        yield fields.invalid(at, file, "must be an absolute path")
    else:
        try:
            regular = stat.S_ISREG(os.stat(file).st_mode)
        except OSError as error:
            yield fields.invalid(at, file, f"error loading file: stat {file}: {(error.strerror or '').lower()}")
        else:
            if not regular:
                yield fields.invalid(at, file, "must be a regular file")


def _conditions(given: Sequence[Object], path: FieldPath, problems: list[FieldError]) -> tuple[Program, ...]:
    if len(given) > MAX_CONDITIONS:
        problems.append(fields.too_many(path, len(given), MAX_CONDITIONS))
        return ()
    programs, seen = [], set[str]()
    for number, condition in enumerate(given):
        expression, at = condition.get("expression", ""), path / number / "expression"
        if not expression.strip():
            problems.append(fields.required(at))
        elif expression in seen:
            problems.append(fields.duplicate(at, expression))
        else:
            program = compiled(expression, at)
            if isinstance(program, FieldError):
                problems.append(program)
            else:
                programs.append(program)
        seen.add(expression)
    return tuple(programs)


def compiled(expression: str, path: FieldPath) -> Program | FieldError:
    """A match condition, or why it is none."""
    try:
        program = _environment().compile(expression)
    except InstantiationError as error:
        return fields.internal(path, str(error))
    except CompileError as error:
        return fields.invalid(path, expression, f"compilation failed: {error}")
    if program.type != BOOL:
        return fields.invalid(path, expression, f"must evaluate to bool but got {go_text(program.type)}")
    return program


@cache
def _environment() -> Environment:
    return review_environment()
