"""apiserver.config.k8s.io AuthenticationConfiguration: its rules, and what is made of it. Pure.

Upstream: apiserver/pkg/apis/apiserver/validation/validation.go, authentication/cel/compile.go. What the flags --oidc-* say becomes the same.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from urllib.parse import urlsplit

from pybernetes.api import field as fields
from pybernetes.api.field import FieldError
from pybernetes.api.field import Path as FieldPath
from pybernetes.cel import ast
from pybernetes.cel.claims import CLAIMS, claims_environment, user_environment
from pybernetes.cel.environment import Environment, Program
from pybernetes.cel.errors import CompileError, InstantiationError
from pybernetes.cel.types import BOOL

from .. import configdocument
from ..configdocument import DocumentError, Object, Shape
from ..kinds.validation import domain_prefixed_path

VERSIONS = ("v1", "v1beta1", "v1alpha1")
KINDS = tuple((f"apiserver.config.k8s.io/{version}", "AuthenticationConfiguration") for version in VERSIONS)
_PREFIXED: Shape = {"claim": str, "prefix": str, "expression": str}
_JWT: Shape = {
    "issuer": {
        "url": str,
        "discoveryURL": str,
        "certificateAuthority": str,
        "audiences": [str],
        "audienceMatchPolicy": str,
        "egressSelectorType": str,
    },
    "claimValidationRules": [{"claim": str, "requiredValue": str, "expression": str, "message": str}],
    "claimMappings": {
        "username": _PREFIXED,
        "groups": _PREFIXED,
        "uid": {"claim": str, "expression": str},
        "extra": [{"key": str, "valueExpression": str}],
    },
    "userValidationRules": [{"expression": str, "message": str}],
}
SHAPE: dict[str, Shape] = {"jwt": [_JWT], "anonymous": {"enabled": bool, "conditions": [{"path": str}]}}

MAX_AUTHENTICATORS = 64
MATCH_ANY = "MatchAny"
EGRESS = ("controlplane", "cluster")
BOTH = "claim and expression can't both be set"
NEITHER = "claim or expression is required"
UNVERIFIED_EMAIL = (
    "claims.email_verified must be used in claimMappings.username.expression or "
    "claimMappings.extra[*].valueExpression or claimValidationRules[*].expression when claims.email is used in "
    "claimMappings.username.expression"
)
RESERVED_KEY = "k8s.io, kubernetes.io and their subdomains are reserved for Kubernetes use"
NO_PREFIX = "prefix is required when claim is set. It can be set to an empty string to disable prefixing"
NO_CERTIFICATES = "data does not contain any valid RSA or ECDSA certificates"


@dataclass(frozen=True, slots=True)
class Source:
    """Where a value of the user comes from: a claim, with a prefix before it, or an expression; neither: there is none."""

    claim: str = ""
    prefix: str = ""
    expression: Program | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """What must be true of claims or user, and what is said where it is not."""

    program: Program
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class JWTAuthenticator:
    """One issuer, and what of its tokens makes a user."""

    issuer: str
    audiences: tuple[str, ...]  # for one of whom a token must be
    discovery_url: str = ""  # where it differs from what OpenID Connect makes of the issuer
    authority: str = ""  # PEM of those who have signed the issuer's certificate; "": the system's
    username: Source
    groups: Source = Source()
    uid: Source = Source()
    extra: tuple[tuple[str, Program], ...] = ()
    required: Mapping[str, str] = field(default_factory=dict)  # claims that must be this text
    claim_rules: tuple[Rule, ...] = ()
    user_rules: tuple[Rule, ...] = ()


@dataclass(frozen=True, slots=True)
class Anonymous:
    """Who comes with nothing: whether it is let through, and to which paths (none: to all)."""

    enabled: bool
    paths: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class AuthenticationConfiguration:
    """A file of it. `anonymous` is None where the file does not speak of it."""

    jwt: tuple[JWTAuthenticator, ...] = ()
    anonymous: Anonymous | None = None


def parse(data: bytes, disallowed: Collection[str] = ()) -> AuthenticationConfiguration:
    """What a file says. `disallowed`: issuers that are others' already. DocumentError."""
    return check(configdocument.decode(data, KINDS, SHAPE), disallowed)


def check(document: Object, disallowed: Collection[str] = ()) -> AuthenticationConfiguration:
    """Of an object of SHAPE. DocumentError with all that is wrong, in upstream's order."""
    jwt: Sequence[Object] = document.get("jwt", [])
    root = FieldPath("jwt")
    if len(jwt) > MAX_AUTHENTICATORS:
        raise DocumentError(str(fields.too_many(root, len(jwt), MAX_AUTHENTICATORS)))
    problems: list[FieldError] = []
    authenticators = []
    issuers: set[str] = set()
    discoveries: set[str] = set()
    for number, one in enumerate(jwt):
        path, issuer = root / number, one.get("issuer", {})
        authenticators.append(_Checked(one, path, disallowed, problems).authenticator())
        _unique(issuer.get("url", ""), issuers, path / "issuer" / "url", problems)
        if discovery := issuer.get("discoveryURL"):
            _unique(discovery, discoveries, path / "issuer" / "discoveryURL", problems)
    anonymous = _anonymous(document.get("anonymous"), problems)
    if problems:
        raise DocumentError(fields.aggregate(problems))
    return AuthenticationConfiguration(tuple(authenticators), anonymous)


def _unique(value: str, seen: set[str], path: FieldPath, problems: list[FieldError]) -> None:
    if value in seen:
        problems.append(fields.duplicate(path, value))
    seen.add(value)


def _anonymous(given: Object | None, problems: list[FieldError]) -> Anonymous | None:
    if given is None:
        return None
    enabled, conditions = given.get("enabled", False), given.get("conditions", [])
    if conditions and not enabled:
        shown = [{"Path": condition.get("path", "")} for condition in conditions]
        why = "enabled should be set to true when conditions are defined"
        problems.append(fields.invalid(FieldPath("anonymous") / "conditions", shown, why))
    return Anonymous(enabled, frozenset(condition.get("path", "") for condition in conditions))


class _Checked:
    """One entry of `jwt` while it is looked at."""

    def __init__(self, given: Object, path: FieldPath, disallowed: Collection[str], problems: list[FieldError]) -> None:
        self._given, self._path, self._disallowed, self._problems = given, path, disallowed, problems
        self._verifies_email = False

    def authenticator(self) -> JWTAuthenticator:
        """Of use only where nothing was added to the problems."""
        issuer = self._given.get("issuer", {})
        self._problems += _issuer(issuer, self._path / "issuer", self._disallowed)
        required, claim_rules = self._claim_rules(self._path / "claimValidationRules")
        mappings, path = self._given.get("claimMappings", {}), self._path / "claimMappings"
        username = self._prefixed(mappings.get("username", {}), path / "username", needed=True)
        uses_email = username.expression is not None and self._mentions(username.expression, "email")
        self._verifies_email |= username.expression is not None and self._mentions(
            username.expression, "email_verified"
        )
        groups = self._prefixed(mappings.get("groups", {}), path / "groups")
        uid = self._uid(mappings.get("uid", {}), path / "uid")
        extra = self._extra(mappings.get("extra", []), path / "extra")
        if uses_email and not self._verifies_email:
            source = mappings["username"]["expression"]
            self._problems.append(fields.invalid(path / "username" / "expression", source, UNVERIFIED_EMAIL))
        return JWTAuthenticator(
            issuer=issuer.get("url", ""),
            audiences=tuple(issuer.get("audiences", ())),
            discovery_url=issuer.get("discoveryURL", ""),
            authority=issuer.get("certificateAuthority", ""),
            username=username,
            groups=groups,
            uid=uid,
            extra=extra,
            required=required,
            claim_rules=claim_rules,
            user_rules=self._user_rules(self._path / "userValidationRules"),
        )

    def _claim_rules(self, path: FieldPath) -> tuple[dict[str, str], tuple[Rule, ...]]:
        required: dict[str, str] = {}
        rules, claims, expressions = [], set[str](), set[str]()
        for number, rule in enumerate(self._given.get("claimValidationRules", ())):
            at, claim, expression = path / number, rule.get("claim", ""), rule.get("expression", "")
            if claim and expression:
                self._problems.append(fields.invalid(at, claim, BOTH))
            elif claim:
                if message := rule.get("message"):
                    why = "may not be specified when claim is set"
                    self._problems.append(fields.invalid(at / "message", message, why))
                _unique(claim, claims, at / "claim", self._problems)
                required[claim] = rule.get("requiredValue", "")
            elif expression:
                if value := rule.get("requiredValue"):
                    why = "may not be specified when expression is set"
                    self._problems.append(fields.invalid(at / "requiredValue", value, why))
                program = self._once(_claims(), expression, expressions, at / "expression", boolean=True)
                if program is not None:
                    self._verifies_email |= self._mentions(program, "email_verified")
                    rules.append(Rule(program, rule.get("message", "")))
            else:
                self._problems.append(fields.required(at, NEITHER))
        return required, tuple(rules)

    def _user_rules(self, path: FieldPath) -> tuple[Rule, ...]:
        rules, seen = [], set[str]()
        for number, rule in enumerate(self._given.get("userValidationRules", ())):
            at, expression = path / number / "expression", rule.get("expression", "")
            if not expression:
                self._problems.append(fields.required(at))
                continue
            program = self._once(_users(), expression, seen, at, boolean=True)
            if program is not None:
                rules.append(Rule(program, rule.get("message", "")))
        return tuple(rules)

    def _prefixed(self, given: Object, path: FieldPath, needed: bool = False) -> Source:
        claim, expression, prefix = given.get("claim", ""), given.get("expression", ""), given.get("prefix")
        if claim and expression:
            self._problems.append(fields.invalid(path, "", BOTH))
            return Source()
        if expression:
            if prefix is not None:
                why = "may not be specified when expression is set"
                self._problems.append(fields.invalid(path / "prefix", prefix, why))
            return Source(expression=self._compiled(_claims(), expression, path / "expression"))
        if claim and prefix is None:
            self._problems.append(fields.required(path / "prefix", NO_PREFIX))
        if not claim and needed:
            self._problems.append(fields.required(path, NEITHER))
        return Source(claim, prefix or "")

    def _uid(self, given: Object, path: FieldPath) -> Source:
        claim, expression = given.get("claim", ""), given.get("expression", "")
        if claim and expression:
            self._problems.append(fields.invalid(path, "", BOTH))
        elif expression:
            return Source(expression=self._compiled(_claims(), expression, path / "expression"))
        return Source(claim)

    def _extra(self, given: Sequence[Object], path: FieldPath) -> tuple[tuple[str, Program], ...]:
        extra, seen = [], set[str]()
        for number, one in enumerate(given):
            key, expression, at = one.get("key", ""), one.get("valueExpression", ""), path / number
            self._problems += _key(key, at / "key")
            if key in seen:
                self._problems.append(fields.duplicate(at / "key", key))
                continue
            seen.add(key)
            if not expression:
                self._problems.append(fields.required(at / "valueExpression"))
                continue
            program = self._compiled(_claims(), expression, at / "valueExpression")
            if program is not None:
                self._verifies_email |= self._mentions(program, "email_verified")
                extra.append((key, program))
        return tuple(extra)

    def _once(
        self, environment: Environment, expression: str, seen: set[str], path: FieldPath, boolean: bool
    ) -> Program | None:
        if expression in seen:
            self._problems.append(fields.duplicate(path, expression))
            return None
        seen.add(expression)
        return self._compiled(environment, expression, path, boolean)

    def _compiled(
        self, environment: Environment, expression: str, path: FieldPath, boolean: bool = False
    ) -> Program | None:
        try:
            program = environment.compile(expression)
        except InstantiationError as error:
            self._problems.append(fields.internal(path, str(error)))
            return None
        except CompileError as error:
            self._problems.append(fields.invalid(path, expression, f"compilation failed: {error}"))
            return None
        if boolean and program.type != BOOL:
            self._problems.append(fields.invalid(path, expression, "must evaluate to bool"))
            return None
        return program

    @staticmethod
    def _mentions(program: Program, claim: str) -> bool:
        """Whether an expression asks for claims.CLAIM, or claims.?CLAIM."""
        return any(_is_claim(node, claim) for node in ast.walk(_claims().check(program.source)))


def _is_claim(node: ast.Node, claim: str) -> bool:
    match node:
        case ast.Select(operand=ast.Ident(name=name), name=selected):
            return name == CLAIMS and selected == claim
        case ast.Call(function=ast.OPTIONAL_SELECT, arguments=[ast.Ident(name=name), ast.Literal(value=selected)]):
            return name == CLAIMS and bool(selected == claim)
    return False


@cache
def _claims() -> Environment:
    return claims_environment()


@cache
def _users() -> Environment:
    return user_environment()


def _key(key: str, path: FieldPath) -> Iterator[FieldError]:
    yield from domain_prefixed_path(path, key)
    if key != key.lower():
        yield fields.invalid(path, key, "must be lowercase")
    domain, slash, _ = key.partition("/")
    if slash and any(f".{domain}".endswith(f".{reserved}") for reserved in ("kubernetes.io", "k8s.io")):
        yield fields.invalid(path, key, RESERVED_KEY)


def _issuer(issuer: Object, path: FieldPath, disallowed: Collection[str]) -> Iterator[FieldError]:
    url, discovery = issuer.get("url", ""), issuer.get("discoveryURL", "")
    if url:
        yield from _url(url, path / "url", disallowed)
    else:
        yield fields.required(path / "url")
    if discovery:
        if url and url.rstrip("/") == discovery.rstrip("/"):
            yield fields.invalid(path / "discoveryURL", discovery, "discoveryURL must be different from URL")
        yield from _url(discovery, path / "discoveryURL")
    yield from _audiences(issuer, path)
    authority = issuer.get("certificateAuthority", "")
    if authority and not _has_certificates(authority):
        yield fields.invalid(path / "certificateAuthority", "<omitted>", NO_CERTIFICATES)
    if egress := issuer.get("egressSelectorType"):
        why = (
            f"oidc: egress lookup required with egress selector type {fields.quote(egress)}: there is none here"
            if egress in EGRESS
            else "egress selector must be either controlplane or cluster"
        )
        yield fields.invalid(path / "egressSelectorType", egress, why)


def _url(url: str, path: FieldPath, disallowed: Collection[str] = ()) -> Iterator[FieldError]:
    if url in disallowed:
        why = f"URL must not overlap with disallowed issuers: [{' '.join(sorted(set(disallowed)))}]"
        yield fields.invalid(path, url, why)
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018  # it is read when it is asked for
    except ValueError:
        authority = url.partition("://")[2].partition("/")[0]
        port = authority[authority.rfind(":") :]
        why = f"parse {fields.quote(url)}: invalid port {fields.quote(port)} after host"
        yield fields.invalid(path, url, why)
        return
    if parts.scheme != "https":
        yield fields.invalid(path, url, "URL scheme must be https")
    if parts.username is not None:
        yield fields.invalid(path, url, "URL must not contain a username or password")
    if parts.query:
        yield fields.invalid(path, url, "URL must not contain a query")
    if parts.fragment:
        yield fields.invalid(path, url, "URL must not contain a fragment")
    if parts.scheme == "https" and not parts.hostname:
        yield fields.invalid(path, url, "URL must have a host")


def _audiences(issuer: Object, path: FieldPath) -> Iterator[FieldError]:
    audiences, policy, at = issuer.get("audiences", []), issuer.get("audienceMatchPolicy", ""), path / "audiences"
    if not audiences:
        yield fields.required(at, f"at least one {at} is required")
        return
    seen: set[str] = set()
    for number, audience in enumerate(audiences):
        if not audience:
            yield fields.required(at / number)
        if audience in seen:
            yield fields.duplicate(at / number, audience)
        seen.add(audience)
    if len(audiences) > 1 and policy != MATCH_ANY:
        why = "audienceMatchPolicy must be MatchAny for multiple audiences"
        yield fields.invalid(path / "audienceMatchPolicy", policy, why)
    if len(audiences) == 1 and policy not in ("", MATCH_ANY):
        why = "audienceMatchPolicy must be empty or MatchAny for single audience"
        yield fields.invalid(path / "audienceMatchPolicy", policy, why)


def _has_certificates(pem: str) -> bool:
    from cryptography import x509

    try:
        return bool(x509.load_pem_x509_certificates(pem.encode("ascii")))  # OpenSSL reads nothing else
    except ValueError:  # UnicodeEncodeError is one
        return False
