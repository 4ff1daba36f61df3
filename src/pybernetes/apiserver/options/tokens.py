"""Flags of kube-apiserver about tokens that others issue: OpenID Connect, AuthenticationConfiguration, a webhook.

Upstream: pkg/kubeapiserver/options/authentication.go.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pybernetes.component import flags
from pybernetes.component.command import UsageError
from pybernetes.component.flags import Flag, Values

if TYPE_CHECKING:
    from ..authentication.configuration import Anonymous, AuthenticationConfiguration
    from ..authentication.oidc.authenticators import JWTOptions
    from ..authentication.options import TokenWebhookOptions

AUTHENTICATION = "Authentication"
CONFIG, WEBHOOK = "authentication-config", "authentication-token-webhook"
TOGETHER = "oidc-issuer-url and oidc-client-id must be specified together when any oidc-* flags are set"


def claim(text: str) -> dict[str, str]:
    """key=value, once a flag: the value may have commas (MapStringStringNoSplit)."""
    key, equals, value = text.partition("=")
    if not equals:
        raise ValueError(f"malformed pair, expect string=string: {text}")
    return {key.strip(): value.strip()}


def _flag(name: str, type: Any, default: Any, help: str) -> Flag:
    return Flag(name, type, default, help, AUTHENTICATION)


OIDC = (
    _flag("oidc-issuer-url", flags.string, "", "The OpenID Connect issuer whose ID tokens are taken, an https URL."),
    _flag("oidc-client-id", flags.string, "", "For whom its tokens must be."),
    _flag(
        "oidc-ca-file",
        flags.string,
        "",
        "Who has signed the issuer's certificate; the system's authorities if not given.",
    ),
    _flag("oidc-username-claim", flags.string, "sub", "The claim that is the user's name."),
    _flag(
        "oidc-username-prefix",
        flags.string,
        "",
        "What stands before the name; ISSUER# if not given and the claim is not email; -: nothing.",
    ),
    _flag("oidc-groups-claim", flags.string, "", "The claim that has the user's groups: text, or a list of texts."),
    _flag("oidc-groups-prefix", flags.string, "", "What stands before each group."),
    _flag("oidc-required-claim", claim, {}, "claim=value that tokens must have; may be given several times."),
    _flag(
        "oidc-signing-algs",
        flags.strings,
        ["RS256"],
        "Algorithms that tokens may be signed by: RS, ES or PS with 256, 384 or 512.",
    ),
)
FLAGS = (
    *OIDC,
    _flag(
        CONFIG,
        flags.string,
        "",
        "An AuthenticationConfiguration: issuers, and to whom is answered without credentials. It is followed.",
    ),
    _flag(f"{WEBHOOK}-config-file", flags.string, "", "A kubeconfig of the server that is asked whose a token is."),
    _flag(f"{WEBHOOK}-cache-ttl", flags.duration, 120.0, "How long its answers hold."),
    _flag(f"{WEBHOOK}-version", flags.string, "v1beta1", "The version of TokenReview that it is sent: v1 or v1beta1."),
)


def jwt(values: Values, issuers: Collection[str]) -> tuple[JWTOptions | None, Anonymous | None]:
    """The issuers whose tokens are taken, and what the file says of who has no credentials. `issuers`: the server's own. UsageError."""
    path = values[CONFIG]
    given = [flag.name for flag in OIDC if flag.name in values.given]
    if path:
        if given:
            raise UsageError("authentication-config file and oidc-* flags are mutually exclusive")
        return _of_file(path, values, issuers)
    if not given:
        return None, None
    if not values["oidc-issuer-url"] or not values["oidc-client-id"]:
        raise UsageError(TOGETHER)
    return _of_flags(values, issuers), None


def _of_file(path: str, values: Values, issuers: Collection[str]) -> tuple[JWTOptions, Anonymous | None]:
    from .. import configdocument
    from ..authentication import configuration
    from ..authentication.oidc.authenticators import WHAT, JWTOptions
    from ..authentication.oidc.jose import ALGORITHMS
    from ..configdocument import DocumentError

    try:
        data = configdocument.read(path, WHAT)
        read = configuration.parse(data, issuers)
    except DocumentError as error:
        raise UsageError(f"--{CONFIG}={path}: {error}") from error
    if read.anonymous is not None and "anonymous-auth" in values.given:
        raise UsageError(
            "--anonymous-auth flag cannot be set when anonymous field is configured in authentication configuration file"
        )
    options = JWTOptions(
        configuration=read, algorithms=tuple(ALGORITHMS), path=path, data=data, disallowed=tuple(issuers)
    )
    return options, read.anonymous


def _of_flags(values: Values, issuers: Collection[str]) -> JWTOptions:
    from ..authentication.oidc.authenticators import JWTOptions
    from ..authentication.oidc.jose import ALGORITHMS

    algorithms = values["oidc-signing-algs"] or ["RS256"]
    for algorithm in algorithms:
        if algorithm not in ALGORITHMS:
            raise UsageError(
                f'oidc: unsupported signing alg: "{algorithm}": --oidc-signing-algs may have {", ".join(ALGORITHMS)}'
            )
    return JWTOptions(configuration=_configuration(values, issuers), algorithms=tuple(algorithms))


def _configuration(values: Values, issuers: Collection[str]) -> AuthenticationConfiguration:
    from ..authentication import configuration, oidcflags
    from ..configdocument import DocumentError

    authority = ""
    if path := values["oidc-ca-file"]:
        try:
            authority = Path(path).read_text()
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else error
            raise UsageError(f"--oidc-ca-file: {path!r} cannot be read: {why}") from error
    document = oidcflags.document(
        issuer=values["oidc-issuer-url"],
        client=values["oidc-client-id"],
        username_claim=values["oidc-username-claim"],
        username_prefix=values["oidc-username-prefix"],
        groups_claim=values["oidc-groups-claim"],
        groups_prefix=values["oidc-groups-prefix"],
        required=values["oidc-required-claim"],
        authority=authority,
    )
    try:
        return configuration.check(document, issuers)
    except DocumentError as error:
        raise UsageError(f"the flags --oidc-*: {error}") from error


def webhook(values: Values) -> TokenWebhookOptions | None:
    """None without one. UsageError."""
    path, version = values[f"{WEBHOOK}-config-file"], values[f"{WEBHOOK}-version"]
    if not path:
        return None
    from pybernetes.client import kubeconfig
    from pybernetes.client.configerror import ConfigError

    from ..authentication.options import TokenWebhookOptions
    from ..authentication.webhook import VERSIONS

    if version not in VERSIONS:
        supported = ", ".join(f'"{one}"' for one in VERSIONS)
        raise UsageError(
            f'--{WEBHOOK}-version: unsupported authentication webhook version "{version}", supported versions are {supported}'
        )
    try:
        config = kubeconfig.load(path)
        config.ssl_context()
    except (ConfigError, OSError) as error:
        raise UsageError(f"--{WEBHOOK}-config-file={path}: {error}") from error
    return TokenWebhookOptions(config=config, version=version, cache_seconds=values[f"{WEBHOOK}-cache-ttl"])
