"""kube-apiserver's flags of authentication, authorization and admission, and what the server makes of them."""

from __future__ import annotations

import json
import logging
import ssl
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pybernetes.component import flags
from pybernetes.component.command import UsageError
from pybernetes.component.flags import Flag, Values

from . import authorization, tokens

if TYPE_CHECKING:
    from pybernetes.apiserver.authentication.bearer import TokenAuthenticator
    from pybernetes.apiserver.authentication.serviceaccount import TokenOptions
    from pybernetes.apiserver.types import Authenticator
    from pybernetes.pki.bundles import AuthorityFile

_log = logging.getLogger(__name__)

AUTHENTICATION = tokens.AUTHENTICATION
ADMISSION = "Admission"
MIN_EXPIRATION, MAX_EXPIRATION = 3600.0, float(1 << 32)  # seconds (upstream: options/authentication.go)

FLAGS = (
    Flag(
        "anonymous-auth",
        flags.boolean,
        True,
        "Whether requests without credentials are let through as system:anonymous. Never with AlwaysAllow.",
        AUTHENTICATION,
    ),
    Flag(
        "api-audiences",
        flags.strings,
        [],
        "For whom service-account tokens must be to be taken here; the issuers where none is given.",
        AUTHENTICATION,
    ),
    Flag(
        "client-ca-file",
        flags.string,
        "",
        "Who shows a certificate signed by one of these is its CN, in the groups of its O.",
        AUTHENTICATION,
    ),
    Flag(
        "enable-bootstrap-token-auth",
        flags.boolean,
        False,
        "Take the tokens of secrets of type bootstrap.kubernetes.io/token in kube-system.",
        AUTHENTICATION,
    ),
    Flag("proxy-client-cert-file", flags.string, "", "What is shown to extension API servers, PEM.", AUTHENTICATION),
    Flag("proxy-client-key-file", flags.string, "", "Its key, PEM.", AUTHENTICATION),
    Flag(
        "requestheader-allowed-names",
        flags.strings,
        [],
        "Common names of the front proxies' certificates; empty: any that --requestheader-client-ca-file has signed.",
        AUTHENTICATION,
    ),
    Flag(
        "requestheader-client-ca-file",
        flags.string,
        "",
        "Who shows a certificate signed by one of these may say in headers who asks.",
        AUTHENTICATION,
    ),
    Flag("requestheader-extra-headers-prefix", flags.strings, [], "X-Remote-Extra- is usual.", AUTHENTICATION),
    Flag("requestheader-group-headers", flags.strings, [], "X-Remote-Group is usual.", AUTHENTICATION),
    Flag("requestheader-uid-headers", flags.strings, [], "X-Remote-Uid is usual.", AUTHENTICATION),
    Flag("requestheader-username-headers", flags.strings, [], "X-Remote-User is usual.", AUTHENTICATION),
    Flag(
        "service-account-extend-token-expiration",
        flags.boolean,
        True,
        "Tokens of projected volumes live a year, so that clients that never read them anew go on working.",
        AUTHENTICATION,
    ),
    Flag(
        "service-account-issuer",
        flags.strings,
        [],
        "The issuer in service-account tokens, a URL. Given several times, the first issues and all are taken.",
        AUTHENTICATION,
    ),
    Flag(
        "service-account-jwks-uri",
        flags.string,
        "",
        "Where the discovery document sends for the keys; empty: to this server.",
        AUTHENTICATION,
    ),
    Flag(
        "service-account-key-file",
        flags.strings,
        [],
        "PEM keys that service-account tokens are checked with; may be given several times.",
        AUTHENTICATION,
    ),
    Flag(
        "service-account-lookup",
        flags.boolean,
        True,
        "Whether tokens kept in secrets must still be there.",
        AUTHENTICATION,
    ),
    Flag(
        "service-account-max-token-expiration",
        flags.duration,
        0.0,
        "The longest life of a token that is asked for; 0: no limit.",
        AUTHENTICATION,
    ),
    Flag("service-account-signing-key-file", flags.string, "", "The PEM key that signs issued tokens.", AUTHENTICATION),
    Flag(
        "token-auth-file", flags.string, "", 'Static tokens: lines of token,user,uid,"group1,group2".', AUTHENTICATION
    ),
    *tokens.FLAGS,
    *authorization.FLAGS,
    Flag("allow-privileged", flags.boolean, False, "Whether containers may be privileged.", ADMISSION),
    Flag("enable-admission-plugins", flags.strings, [], "Plug-ins besides those that are on by default.", ADMISSION),
    Flag("disable-admission-plugins", flags.strings, [], "Plug-ins to switch off.", ADMISSION),
    Flag(
        "default-not-ready-toleration-seconds",
        flags.integer,
        300,
        "How long pods that do not say it stay on a node that is not ready.",
        ADMISSION,
    ),
    Flag(
        "default-unreachable-toleration-seconds",
        flags.integer,
        300,
        "How long pods that do not say it stay on a node that is not to be reached.",
        ADMISSION,
    ),
    Flag("admission-control", flags.strings, [], "The plug-ins that are on, and no others (until 1.10).", ADMISSION),
)
# Plug-ins that left upstream, and when.
FORMER_PLUGINS = {
    "Initializers": "1.14",
    "PodPreset": "1.20",
    "DenyEscalatingExec": "1.21",
    "DenyExecOnPrivileged": "1.21",
    "SecurityContextDeny": "1.30",
    "PersistentVolumeLabel": "1.31",
}
# Plug-ins of upstream's that are not here: nothing is switched off.
ABSENT_PLUGINS = frozenset(
    {
        "ClusterTrustBundleAttest",
        "EventRateLimit",
        "ImagePolicyWebhook",
        "PodTolerationRestriction",
    }
)


def options(values: Values) -> dict[str, Any]:
    """Keywords for `server.Options`. UsageError."""
    from pybernetes.apiserver.authentication.options import AuthenticationOptions

    may = authorization.options(values)
    proxy_client = _proxy_client(values)
    accounts = _service_accounts(values)
    jwt, opened = tokens.jwt(values, accounts.issuers if accounts is not None else ())
    webhook = tokens.webhook(values)
    requests, static = _requests(values), _static_tokens(values)
    others = (accounts, jwt, webhook)
    if not requests and not static and others == (None, None, None) and not values["enable-bootstrap-token-auth"]:
        raise UsageError("nobody could log in: give --client-ca-file or --token-auth-file")
    plugins = _plugins(values)
    anonymous = opened.enabled if opened is not None else values["anonymous-auth"]
    if anonymous and "AlwaysAllow" in authorization.modes(may):
        _log.warning(
            "anonymous requests are refused: with --authorization-mode=AlwaysAllow everyone could do everything"
        )
        anonymous = False
    return {
        "authentication": AuthenticationOptions(
            requests=requests,
            tokens=static,
            service_accounts=accounts,
            bootstrap_tokens=values["enable-bootstrap-token-auth"],
            jwt=jwt,
            webhook=webhook,
            audiences=tuple(values["api-audiences"]),
            anonymous=anonymous,
            anonymous_paths=opened.paths if opened is not None else frozenset(),
            published=_published(values),
        ),
        **may,
        "enable_admission_plugins": plugins,
        "allow_privileged": values["allow-privileged"],
        "proxy_client": proxy_client,
        "toleration_seconds": (
            values["default-not-ready-toleration-seconds"],
            values["default-unreachable-toleration-seconds"],
        ),
    }


def _published(values: Values) -> Callable[[], dict[str, str]]:
    """For extension API servers: the authorities, which follow their files, and the headers of the front proxy. UsageError."""
    from pybernetes.pki.bundles import Authorities
    from pybernetes.pki.reloading import Reloaded

    files = {flag: Path(values[flag]) for flag in ("client-ca-file", "requestheader-client-ca-file") if values[flag]}
    headers = {}
    if values["requestheader-client-ca-file"]:
        for name in ("allowed-names", "extra-headers-prefix", "group-headers", "uid-headers", "username-headers"):
            headers[f"requestheader-{name}"] = json.dumps(values[f"requestheader-{name}"], separators=(",", ":"))
    for flag, path in files.items():
        _read(flag, str(path))

    def read() -> dict[str, str]:
        bundles = {flag: path.read_bytes() for flag, path in files.items()}
        for bundle in bundles.values():
            Authorities(bundle)  # what is half written is published to nobody
        return {flag: bundle.decode() for flag, bundle in bundles.items()} | headers

    try:
        return Reloaded(read, list(files.values())).current
    except ValueError as error:
        raise UsageError(f"--{' or --'.join(files)}: {error}") from error


def authorities(values: Values) -> list[str]:
    """Files of those whose client certificates TLS lets in."""
    return [path for path in (values["client-ca-file"], values["requestheader-client-ca-file"]) if path]


def _plugins(values: Values) -> tuple[str, ...]:
    from pybernetes.apiserver.admission.chain import ADMISSION as KNOWN
    from pybernetes.apiserver.admission.chain import DEFAULT

    on, off = values["enable-admission-plugins"], values["disable-admission-plugins"]
    if only := values["admission-control"]:
        if on or off:
            raise UsageError(
                "admission-control and enable-admission-plugins/disable-admission-plugins flags are mutually exclusive"
            )
        on, off = only, [name for name in DEFAULT if name not in only]
    on, off = _present(on), [name for name in _present(off) if name not in ABSENT_PLUGINS]
    for flag, names in (("enable", on), ("disable", off)):
        for name in names:
            if name not in KNOWN:
                raise UsageError(f"--{flag}-admission-plugins: {name!r} is not known; there are {', '.join(KNOWN)}")
    both = set(on) & set(off)
    if both:
        raise UsageError(f"{sorted(both)[0]} in enable-admission-plugins and disable-admission-plugins overlapped")
    return tuple(name for name in KNOWN if name in on or (name in DEFAULT and name not in off))


def _present(names: Sequence[str]) -> list[str]:
    """Without those that left upstream, which are warned of."""
    for name in names:
        if name in FORMER_PLUGINS:
            _log.warning("the admission plug-in %s does nothing: it left upstream with %s", name, FORMER_PLUGINS[name])
    return [name for name in names if name not in FORMER_PLUGINS]


def _proxy_client(values: Values) -> tuple[str, str]:
    """What extension API servers are shown: (certificate, key), or ("", "")."""
    certificate, key = values["proxy-client-cert-file"], values["proxy-client-key-file"]
    if not certificate and not key:
        return "", ""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as error:
        raise UsageError(f"the files of --proxy-client-cert-file and --proxy-client-key-file: {error}") from error
    return certificate, key


def _read(flag: str, path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise UsageError(f"--{flag}: {path!r} cannot be read: {error.strerror}") from error


def _requests(values: Values) -> list[Authenticator]:
    """The front proxy before certificates, as upstream."""
    from pybernetes.apiserver.authentication.x509 import ClientCertificate

    chain: list[Authenticator] = []
    proxies, clients = values["requestheader-client-ca-file"], values["client-ca-file"]
    if proxies:
        chain.append(_front_proxy(values))
    if clients:
        issued = _authorities("client-ca-file", clients).issued
        chain.append(ClientCertificate(lambda: datetime.now(UTC), issued))
    return chain


def _static_tokens(values: Values) -> list[TokenAuthenticator]:
    from pybernetes.apiserver.authentication import tokenfile

    if not values["token-auth-file"]:
        return []
    try:
        return [tokenfile.TokenFile(tokenfile.read(Path(values["token-auth-file"])))]
    except tokenfile.TokenFileError as error:
        raise UsageError(f"--token-auth-file: {error}") from error


def _authorities(flag: str, path: str) -> AuthorityFile:
    from pybernetes.pki.bundles import AuthorityFile

    try:
        return AuthorityFile(Path(path))
    except OSError as error:
        raise UsageError(f"--{flag}: {path!r} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise UsageError(f"--{flag}: {error}") from error


def _front_proxy(values: Values) -> Authenticator:
    from pybernetes.apiserver.authentication.requestheader import RequestHeader

    def headers(flag: str) -> tuple[str, ...]:
        return tuple(name.strip().lower() for name in values[f"requestheader-{flag}"])

    if not headers("username-headers"):
        raise UsageError("--requestheader-client-ca-file needs --requestheader-username-headers")
    return RequestHeader(
        _authorities("requestheader-client-ca-file", values["requestheader-client-ca-file"]).issued,
        values["requestheader-allowed-names"],
        username_headers=headers("username-headers"),
        uid_headers=headers("uid-headers"),
        group_headers=headers("group-headers"),
        extra_prefixes=headers("extra-headers-prefix"),
    )


def _service_accounts(values: Values) -> TokenOptions | None:
    """None where no flag speaks of service accounts' keys."""
    from pybernetes.apiserver.authentication import keys
    from pybernetes.apiserver.authentication.serviceaccount import TokenOptions

    issuers, files, key = (values[f"service-account-{name}"] for name in ("issuer", "key-file", "signing-key-file"))
    if not files and not key:
        return None
    if not issuers:
        raise UsageError("--service-account-issuer is needed with --service-account-key-file")
    for issuer in issuers:
        if ":" in issuer and not issuer.startswith(("https://", "http://")):
            raise UsageError(f"--service-account-issuer={issuer}: it has a colon, and is no URL")
    longest = values["service-account-max-token-expiration"]
    if longest and not MIN_EXPIRATION <= longest <= MAX_EXPIRATION:
        raise UsageError("--service-account-max-token-expiration must be between 1 hour and 2^32 seconds")
    try:
        flag = "service-account-signing-key-file"
        signer = keys.signer(_read(flag, key)) if key else None
        flag = "service-account-key-file"
        verifiers = [verifier for path in files for verifier in keys.verifiers(_read(flag, path))]
    except keys.KeyFileError as error:
        raise UsageError(f"--{flag}: {error}") from error
    if signer is not None and not verifiers:
        verifiers = [signer.public]
    return TokenOptions(
        issuers=tuple(issuers),
        verifiers=tuple(verifiers),
        signer=signer,
        audiences=tuple(values["api-audiences"]),
        lookup=values["service-account-lookup"],
        max_expiration=longest,
        extend_expiration=values["service-account-extend-token-expiration"],
        jwks_uri=values["service-account-jwks-uri"],
    )
