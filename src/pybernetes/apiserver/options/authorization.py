"""Flags of kube-apiserver about what one may (upstream: pkg/kubeapiserver/options/authorization.go)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pybernetes.component import flags
from pybernetes.component.command import UsageError
from pybernetes.component.flags import Flag, Values

if TYPE_CHECKING:
    from ..authorization.abac import Policy
    from ..authorization.configuration import WebhookConfiguration
    from ..authorization.options import AuthorizationOptions

AUTHORIZATION = "Authorization"
MODES = ("AlwaysAllow", "AlwaysDeny", "ABAC", "Webhook", "RBAC", "Node")
SIMPLE = frozenset(MODES) - {"ABAC", "Webhook"}  # that need no more than their name
CONFIG, MODE, POLICIES, WEBHOOK = (
    "authorization-config",
    "authorization-mode",
    "authorization-policy-file",
    "authorization-webhook",
)


def _flag(name: str, type: Any, default: Any, help: str) -> Flag:
    return Flag(name, type, default, help, AUTHORIZATION)


_WEBHOOK_FLAGS = (
    _flag(f"{WEBHOOK}-config-file", flags.string, "", "A kubeconfig of the server that is asked, with mode Webhook."),
    _flag(
        f"{WEBHOOK}-version",
        flags.string,
        "v1beta1",
        "The version of SubjectAccessReview that it is sent: v1 or v1beta1.",
    ),
    _flag(f"{WEBHOOK}-cache-authorized-ttl", flags.duration, 300.0, "How long it holds that one may."),
    _flag(f"{WEBHOOK}-cache-unauthorized-ttl", flags.duration, 30.0, "How long it holds that one may not."),
)
FLAGS = (
    _flag(MODE, flags.strings, ["AlwaysAllow"], f"Who decides what one may, in this order: {', '.join(MODES)}."),
    _flag(
        CONFIG, flags.string, "", "An AuthorizationConfiguration: who decides, with several webhooks. It is followed."
    ),
    _flag(POLICIES, flags.string, "", "Policies, one a line, with mode ABAC."),
    *_WEBHOOK_FLAGS,
)


def options(values: Values) -> dict[str, Any]:
    """Keywords for `server.Options`. UsageError."""
    if values[CONFIG]:
        if values.given & {MODE, *(flag.name for flag in _WEBHOOK_FLAGS)}:
            raise UsageError(
                f"--{CONFIG} can not be specified when --{MODE} or --authorization-webhook-* flags are defined"
            )
        return {"authorization": _of_file(values[CONFIG], values)}
    modes = _modes(values)
    if SIMPLE.issuperset(modes):
        return {"authorization_modes": modes}
    from ..authorization.configuration import of_modes
    from ..authorization.options import AuthorizationOptions

    webhook = _webhook(values) if "Webhook" in modes else None
    return {"authorization": AuthorizationOptions(authorizers=of_modes(modes, webhook), policies=_policies(values))}


def modes(given: Mapping[str, Any]) -> Sequence[str]:
    """The types of authorizers of what `options` gave."""
    authorization: AuthorizationOptions | None = given.get("authorization")
    if authorization is not None:
        return [one.type for one in authorization.authorizers]
    chosen: Sequence[str] = given["authorization_modes"]
    return chosen


def _modes(values: Values) -> tuple[str, ...]:
    given = values[MODE]
    if not given:
        raise UsageError("at least one authorization-mode must be passed")
    for mode in given:
        if mode not in MODES:
            raise UsageError(f'authorization-mode "{mode}" is not a valid mode; there are {", ".join(MODES)}')
    for mode, flag, what in (("ABAC", POLICIES, "policy"), ("Webhook", f"{WEBHOOK}-config-file", "config")):
        if mode in given and not values[flag]:
            raise UsageError(f"authorization-mode {mode}'s authorization {what} file not passed: give --{flag}")
        if mode not in given and values[flag]:
            raise UsageError(f"cannot specify --{flag} without mode {mode}")
    if len(set(given)) < len(given):
        raise UsageError(f"authorization-mode [{' '.join(given)}] has mode specified more than once")
    return tuple(given)


def _policies(values: Values) -> list[Policy]:
    if not values[POLICIES]:
        return []
    from ..authorization import abac

    try:
        return abac.load(values[POLICIES])
    except abac.PolicyError as error:
        raise UsageError(f"--{POLICIES}: {error}") from error


def _webhook(values: Values) -> WebhookConfiguration:
    from ..authorization.configuration import REVIEW_VERSIONS, WebhookConfiguration

    version = values[f"{WEBHOOK}-version"]
    if version not in REVIEW_VERSIONS:
        supported = ", ".join(f'"{one}"' for one in REVIEW_VERSIONS)
        raise UsageError(
            f'--{WEBHOOK}-version: unsupported webhook authorizer version "{version}", supported versions are {supported}'
        )
    path = values[f"{WEBHOOK}-config-file"]
    _check_kubeconfig(path, f"--{WEBHOOK}-config-file={path}")
    return WebhookConfiguration(
        kubeconfig=path,
        version=version,
        authorized_ttl=values[f"{WEBHOOK}-cache-authorized-ttl"],
        unauthorized_ttl=values[f"{WEBHOOK}-cache-unauthorized-ttl"],
    )


def _check_kubeconfig(path: str, what: str) -> None:
    """UsageError for one of no use: it is read again by who asks."""
    from pybernetes.client import kubeconfig
    from pybernetes.client.configerror import ConfigError

    try:
        kubeconfig.load(path).ssl_context()
    except (ConfigError, OSError) as error:
        raise UsageError(f"{what}: {error}") from error


def _of_file(path: str, values: Values) -> AuthorizationOptions:
    from .. import configdocument
    from ..authorization import configuration
    from ..authorization.options import AuthorizationOptions
    from ..configdocument import DocumentError

    try:
        data = configdocument.read(path, "authorization configuration")
        authorizers = configuration.parse(data)
    except DocumentError as error:
        raise UsageError(f"--{CONFIG}={path}: failed to load AuthorizationConfiguration from file: {error}") from error
    types = [one.type for one in authorizers]
    if ("ABAC" in types) != bool(values[POLICIES]):
        raise UsageError(f"--{POLICIES} and an authorizer of type ABAC in --{CONFIG} need each other")
    for one in authorizers:
        if one.webhook is not None:
            _check_kubeconfig(
                one.webhook.kubeconfig, f"--{CONFIG}={path}: webhook {one.name}: {one.webhook.kubeconfig}"
            )
    return AuthorizationOptions(authorizers=authorizers, policies=_policies(values), path=path, data=data)
