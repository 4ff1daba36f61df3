"""The user that claims make, by the configuration of their issuer (upstream: oidc.go AuthenticateToken). Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from pybernetes.api.field import quote
from pybernetes.cel.claims import CLAIMS, USER, claims_value, user_value
from pybernetes.cel.environment import Program
from pybernetes.cel.errors import CostExceeded, EvaluationError

from ...cel.bounded import Budget
from ..bearer import TokenError
from ..configuration import JWTAuthenticator, Rule, Source
from ..user import CREDENTIAL_ID, User, credential_id
from .idtoken import Claims

TEXTS_ONLY = "expression must return a string or a list of strings"
_NOT = "json: cannot unmarshal {given} into Go value of type {wanted}"


def user_of(authenticator: JWTAuthenticator, claims: Claims) -> User:
    """TokenError, in upstream's words. apart.Leave where its expressions are dear and that is possible."""
    return _Mapping(authenticator, claims).user()


@dataclass
class _Mapping:
    """One token's."""

    authenticator: JWTAuthenticator
    claims: Claims
    budget: Budget = field(default_factory=Budget)
    bindings: dict[str, Any] = field(default_factory=dict)

    def user(self) -> User:
        self.bindings = {CLAIMS: claims_value(self.claims)}
        name = self._username(self.authenticator.username)
        groups = self._groups(self.authenticator.groups)
        uid = self._uid(self.authenticator.uid)
        extra = self._extra()
        self._require()
        self._check_claims()
        self._check_user(name, uid, groups, extra)
        return User(name, tuple(groups), uid, {key: tuple(values) for key, values in extra.items()})

    def _username(self, source: Source) -> str:
        if source.expression is not None:
            value = self._value(source.expression, "oidc: error evaluating username claim expression")
            if not isinstance(value, str):
                raise TokenError(
                    "oidc: error evaluating username claim expression: username claim expression must return a string"
                )
            if not value:
                raise TokenError("oidc: empty username via CEL expression is not allowed")
            return value
        name = self._text(source.claim, f"oidc: parse username claims {quote(source.claim)}")
        if source.claim == "email" and "email_verified" in self.claims:
            verified = self.claims["email_verified"]
            if not isinstance(verified, bool | None):
                why = _NOT.format(given=_kind(verified), wanted="bool")
                raise TokenError(f"oidc: parse 'email_verified' claim: {why}")
            if not verified:
                raise TokenError("oidc: email not verified")
        return source.prefix + name

    def _groups(self, source: Source) -> list[str]:
        if source.claim:
            if source.claim not in self.claims:
                return []
            value = self.claims[source.claim]
            if isinstance(value, list) and all(isinstance(one, str | None) for one in value):
                return [source.prefix + (one or "") for one in value]
            if value is None:
                return []
            return [source.prefix + self._text(source.claim, f"oidc: parse groups claim {quote(source.claim)}")]
        if source.expression is None:
            return []
        what = "oidc: error evaluating group claim expression"
        return _texts(self._value(source.expression, what), what)

    def _uid(self, source: Source) -> str:
        if source.claim:
            return self._text(source.claim, f"oidc: parse uid claim {quote(source.claim)}")
        if source.expression is None:
            return ""
        value = self._value(source.expression, "oidc: error evaluating uid claim expression")
        if not isinstance(value, str):
            raise TokenError("oidc: error evaluating uid claim expression: uid claim expression must return a string")
        return value

    def _extra(self) -> dict[str, list[str]]:
        extra: dict[str, list[str]] = {}
        token_id = self.claims.get("jti")
        if isinstance(token_id, str) and token_id:
            extra[CREDENTIAL_ID] = [credential_id(token_id)]
        for key, program in self.authenticator.extra:
            value = self._value(program, "")
            values = _texts(value, f"oidc: error evaluating extra claim expression: {program.source}")
            if values:
                extra[key] = values
        return extra

    def _require(self) -> None:
        for claim, required_value in self.authenticator.required.items():
            if claim not in self.claims:
                raise TokenError(f"oidc: required claim {claim} not present in ID token")
            value = self._text(claim, f"oidc: parse claim {claim}")
            if value != required_value:
                raise TokenError(
                    f"oidc: required claim {claim} value does not match. Got = {value}, want = {required_value}"
                )

    def _check_claims(self) -> None:
        self._check(self.authenticator.claim_rules, "oidc: error evaluating claim validation expression")

    def _check_user(self, name: str, uid: str, groups: list[str], extra: dict[str, list[str]]) -> None:
        if self.authenticator.user_rules:
            self.bindings = {USER: user_value(name, uid, groups, extra)}
            self._check(self.authenticator.user_rules, "oidc: error evaluating user info validation rule")

    def _check(self, rules: Sequence[Rule], what: str) -> None:
        values = [self._value(rule.program, what) for rule in rules]  # all of them, before one may say no
        for rule, value in zip(rules, values, strict=True):
            if value is not True:
                raise TokenError(f"{what}: validation expression '{rule.program.source}' failed: {rule.message}")

    def _value(self, program: Program, what: str) -> Any:
        try:
            return self.budget.evaluate(program, self.bindings)
        except (EvaluationError, CostExceeded) as error:
            text = f"expression '{program.source}' resulted in error: {error}"
            raise TokenError(f"{what}: {text}" if what else text) from None

    def _text(self, claim: str, what: str) -> str:
        """A claim that must be text. TokenError that begins with `what`."""
        if claim not in self.claims:
            raise TokenError(f"{what}: claim not present")
        value = self.claims[claim]
        if isinstance(value, str):
            return value
        if value is None:
            return ""  # what Go's decoder makes of it
        raise TokenError(f"{what}: {_NOT.format(given=_kind(value), wanted='string')}")


def _texts(value: Any, what: str) -> list[str]:
    """Of an expression: text, or a list of texts; empty ones are none."""
    match value:
        case None:
            return []
        case str():
            return [value] if value else []
        case list() if all(isinstance(one, str) for one in value):
            return [one for one in value if one]
    raise TokenError(f"{what}: {TEXTS_ONLY}")


def _kind(value: Any) -> str:
    match value:
        case bool():
            return "bool"
        case int() | float():
            return "number"
        case list():
            return "array"
        case dict():
            return "object"
    return "string"
