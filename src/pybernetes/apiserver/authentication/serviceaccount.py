"""Service-account tokens: issued as JWTs and known again (upstream: pkg/serviceaccount/{jwt,claims,legacy}.go).

A signature is checked once; that the account, and the object the token is bound to, are still there is looked at each time.
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec

from pybernetes.api import times
from pybernetes.api.wellknown import (
    ALL_AUTHENTICATED,
    ALL_SERVICE_ACCOUNTS_GROUP,
    SERVICE_ACCOUNT_GROUP_PREFIX,
    SERVICE_ACCOUNT_USERNAME_PREFIX,
)

from ..types import Reader
from .bearer import TokenError
from .keys import Signer, Verifier
from .user import User

if TYPE_CHECKING:
    from jwt.types import Options

LEGACY_ISSUER = "kubernetes/serviceaccount"
LEGACY = "kubernetes.io/serviceaccount/"  # prefix of the private claims of tokens kept in secrets
EXTRA = "authentication.kubernetes.io/"
LEEWAY = 60.0  # seconds that an object may be deleted already (upstream: jwt.DefaultLeeway)
CLOCK_SKEW = 60.0  # seconds that clocks may differ for nbf and exp (go-jose's default leeway)
REMEMBERED = 4096  # tokens whose signature is not checked again
WARN_SECONDS = 3607  # what the projected volume asks for; such a token is made to live longer, for old clients
EXTENSION_SECONDS = 365 * 24 * 3600

Claims = dict[str, Any]
Object = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class TokenOptions:
    """Of the flags --service-account-* and --api-audiences. The first issuer issues, all are accepted."""

    issuers: Sequence[str]
    verifiers: Sequence[Verifier]
    signer: Signer | None = None
    audiences: Sequence[str] = ()  # default: the issuers
    lookup: bool = True
    max_expiration: float = 0  # seconds; 0: no limit
    extend_expiration: bool = True
    jwks_uri: str = ""  # default: of this server

    @property
    def api_audiences(self) -> tuple[str, ...]:
        """For whom a token must be to be good here."""
        return tuple(self.audiences or self.issuers)


def username(namespace: str, name: str) -> str:
    """system:serviceaccount:NAMESPACE:NAME."""
    return f"{SERVICE_ACCOUNT_USERNAME_PREFIX}{namespace}:{name}"


def groups(namespace: str) -> tuple[str, ...]:
    """Of every account of the namespace."""
    return ALL_SERVICE_ACCOUNTS_GROUP, f"{SERVICE_ACCOUNT_GROUP_PREFIX}{namespace}", ALL_AUTHENTICATED


@dataclass(frozen=True, slots=True)
class Binding:
    """What a token is bound to: kind is pod, secret or node."""

    kind: str
    name: str
    uid: str
    node: tuple[str, str] = ("", "")  # (name, uid) of a pod's node


def claims(
    account: Object,
    binding: Binding | None,
    audiences: Sequence[str],
    seconds: int,
    warn_after: int,
    now: datetime,
    issuer: str,
    token_id: str,
) -> Claims:
    """The claims of a new token; `warn_after` seconds, 0: none."""
    metadata = account["metadata"]
    start = int(now.timestamp())
    private: dict[str, Any] = {"namespace": metadata["namespace"]}
    if binding is not None:
        if binding.node[0]:
            node_name, node_uid = binding.node
            private["node"] = {"name": node_name, "uid": node_uid} if node_uid else {"name": node_name}
        private[binding.kind] = {"name": binding.name, "uid": binding.uid}
    private["serviceaccount"] = {"name": metadata["name"], "uid": metadata["uid"]}
    if warn_after:
        private["warnafter"] = start + warn_after
    return {
        "aud": list(audiences),
        "exp": start + seconds,
        "iat": start,
        "iss": issuer,
        "jti": token_id,
        "kubernetes.io": private,
        "nbf": start,
        "sub": username(metadata["namespace"], metadata["name"]),
    }


def sign(payload: Claims, signer: Signer) -> str:
    """The JWT."""
    import jwt

    return jwt.encode(payload, signer.key, signer.algorithm, {"kid": signer.id})


def peek(token: str) -> Claims | None:
    """Claims nobody has checked yet; None for what is no JWT."""
    parts = token.split(".")
    if len(parts) != 3:
        return None
    try:
        claims = msgspec.json.decode(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (ValueError, msgspec.DecodeError, RecursionError):
        return None
    return claims if isinstance(claims, dict) else None


def verified(token: str, keys: Sequence[Verifier]) -> Claims:
    """The claims of a token that one of the keys has signed; TokenError. Times and audiences are left to the caller."""
    import jwt

    skip: Options = {"verify_exp": False, "verify_aud": False, "verify_nbf": False, "verify_iat": False}
    try:
        kid = jwt.get_unverified_header(token).get("kid")
    except (jwt.InvalidTokenError, RecursionError) as error:
        raise TokenError(str(error)) from None
    named = [key for key in keys if key.id == kid]
    for verifier in named or keys:
        try:
            claims: Claims = jwt.decode(token, verifier.key, [verifier.algorithm], skip)
            return claims
        except jwt.InvalidTokenError:
            continue
    raise TokenError("the token is signed by no key that is known")


def check_times(payload: Claims, now: float) -> None:
    """TokenError outside of the token's life."""
    if "exp" in payload and now > payload["exp"] + CLOCK_SKEW:
        raise TokenError("service account token has expired")
    if "nbf" in payload and now < payload["nbf"] - CLOCK_SKEW:
        raise TokenError("service account token is not valid yet")


@dataclass
class ServiceAccountTokens:
    """See `bearer.TokenAuthenticator`; also issues."""

    options: TokenOptions
    reader: Reader
    now: Callable[[], datetime]
    _verified: dict[str, Claims] = field(default_factory=dict)

    async def token(self, token: str, audiences: tuple[str, ...]) -> User | None:
        """None for tokens of other issuers."""
        payload = self._verified.get(token)
        if payload is None:
            seen = peek(token)
            issuer = (seen or {}).get("iss")
            if issuer != LEGACY_ISSUER and issuer not in self.options.issuers:
                return None
            payload = verified(token, self.options.verifiers)
            if len(self._verified) >= REMEMBERED:
                self._verified.clear()
            self._verified[token] = payload
        legacy = payload.get("iss") == LEGACY_ISSUER and "kubernetes.io" not in payload
        self._check_audience(payload, audiences)
        check_times(payload, self.now().timestamp())
        return self._legacy(payload, token) if legacy else self._bound(payload)

    def _check_audience(self, payload: Claims, audiences: tuple[str, ...]) -> None:
        have = payload.get("aud") or self.options.api_audiences
        have = [have] if isinstance(have, str) else list(have)
        accepted = audiences or self.options.api_audiences
        if not set(have) & set(accepted):
            raise TokenError(f"token audiences {_shown(have)} is invalid for the target audiences {_shown(accepted)}")

    def audiences_of(self, token: str) -> tuple[str, ...]:
        """For whom a token is that has been found good."""
        have = (self._verified.get(token) or {}).get("aud") or self.options.api_audiences
        return (have,) if isinstance(have, str) else tuple(have)

    def _bound(self, payload: Claims) -> User:
        private = payload.get("kubernetes.io") or {}
        namespace, account = private.get("namespace", ""), private.get("serviceaccount") or {}
        self._account(namespace, account.get("name", ""), account.get("uid", ""))
        extra: dict[str, tuple[str, ...]] = {}
        if payload.get("jti"):
            extra[f"{EXTRA}credential-id"] = (f"JTI={payload['jti']}",)
        if secret := private.get("secret"):
            self._object("secret", "secrets", namespace, secret)
        if pod := private.get("pod"):
            self._object("pod", "pods", namespace, pod)
            extra |= {f"{EXTRA}pod-name": (pod["name"],), f"{EXTRA}pod-uid": (pod["uid"],)}
        if node := private.get("node"):
            if not private.get("pod"):
                self._object("node", "nodes", "", node)
            extra[f"{EXTRA}node-name"] = (node["name"],)
            if node.get("uid"):
                extra[f"{EXTRA}node-uid"] = (node["uid"],)
        return User(username(namespace, account["name"]), groups(namespace), account["uid"], extra)

    def _account(self, namespace: str, name: str, uid: str) -> None:
        account = self.reader.get("", "serviceaccounts", namespace, name)
        if account is None:
            raise TokenError(f'serviceaccounts "{name}" not found')
        if self._gone(account):
            raise TokenError(f"service account {namespace}/{name} has been deleted")
        if account["metadata"]["uid"] != uid:
            raise TokenError(f"service account UID ({account['metadata']['uid']}) does not match claim ({uid})")

    def _object(self, kind: str, resource: str, namespace: str, claim: Object) -> None:
        bound = self.reader.get("", resource, namespace, claim.get("name", ""))
        if bound is None or self._gone(bound):
            raise TokenError("service account token has been invalidated")
        uid, claimed = bound["metadata"]["uid"], claim.get("uid", "")
        if uid != claimed:
            raise TokenError(f"{kind} UID ({uid}) does not match service account {kind} ref claim ({claimed})")

    def _gone(self, obj: Object) -> bool:
        at = obj["metadata"].get("deletionTimestamp")
        return bool(at) and (self.now() - times.parse_time(at)).total_seconds() > LEEWAY

    def _legacy(self, payload: Claims, token: str) -> User:
        """A token kept in a secret, good as long as the secret holds it."""
        namespace, name, uid, secret = (
            str(payload.get(LEGACY + key, ""))
            for key in ("namespace", "service-account.name", "service-account.uid", "secret.name")
        )
        if not namespace or not name or not uid or not secret:
            raise TokenError("claims of a service account token are missing")
        if payload.get("sub") != username(namespace, name):
            raise TokenError("sub claim is invalid")
        if self.options.lookup:
            stored = self.reader.get("", "secrets", namespace, secret)
            if stored is None or stored["metadata"].get("deletionTimestamp"):
                raise TokenError("Token has been invalidated")
            held = base64.b64decode((stored.get("data") or {}).get("token") or "")
            if not hmac.compare_digest(held, token.encode()):
                raise TokenError("Token does not match server's copy")
            self._account(namespace, name, uid)
        return User(username(namespace, name), groups(namespace), uid)


def _shown(values: Sequence[str]) -> str:
    return "[" + " ".join(f'"{value}"' for value in values) + "]"
