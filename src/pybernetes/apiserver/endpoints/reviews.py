"""Answers the questions of authentication.k8s.io and authorization.k8s.io (upstream: pkg/registry/{authentication,authorization})."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pybernetes.aio import apart
from pybernetes.api import errors
from pybernetes.wire.http import Request, Response

from ..authentication.bearer import TokenError
from ..authentication.chain import Authenticators
from ..authentication.user import User
from ..authorization.accessreview import field_selector_of, label_selector_of
from ..authorization.modes import Authorizers, aggregated
from ..kinds import authentication, authorization
from ..query import Query
from ..resource import Object, Resource
from ..types import RequestInfo
from .handlers import ResourceHandler
from .posted import Posted, read
from .routes import Special, not_allowed


def attributes(spec: Mapping[str, Any]) -> RequestInfo:
    """What a SubjectAccessReview's spec asks about."""
    other = spec.get("nonResourceAttributes")
    if other is not None:
        return RequestInfo(other.get("verb", ""), other.get("path", ""))
    asked = spec.get("resourceAttributes") or {}
    return RequestInfo(
        verb=asked.get("verb", ""),
        path="",
        is_resource=True,
        group=asked.get("group", ""),
        version=asked.get("version", ""),
        resource=asked.get("resource", ""),
        subresource=asked.get("subresource", ""),
        namespace=asked.get("namespace", ""),
        name=asked.get("name", ""),
        field_selector=field_selector_of(asked.get("fieldSelector") or {}),
        label_selector=label_selector_of(asked.get("labelSelector") or {}),
    )


def user_info(user: User) -> Object:
    """authentication/v1 UserInfo."""
    info: Object = {"username": user.name}
    if user.uid:
        info["uid"] = user.uid
    if user.groups:
        info["groups"] = list(user.groups)
    if user.extra:
        info["extra"] = {key: list(values) for key, values in user.extra.items()}
    return info


def asked_user(spec: Mapping[str, Any]) -> User:
    """Whom a SubjectAccessReview is about; v1beta1 calls the groups `group`."""
    extra = {key: tuple(values or ()) for key, values in (spec.get("extra") or {}).items()}
    return User(spec.get("user", ""), tuple(spec.get("groups") or spec.get("group") or ()), spec.get("uid", ""), extra)


class Reviews:
    """`routes` gives them to `routes.Routes`."""

    def __init__(
        self,
        authenticators: Authenticators,
        authorizers: Authorizers,
        served: Mapping[tuple[str, str, str], ResourceHandler],
    ) -> None:
        self._served = served
        self._authenticators, self._authorizers = authenticators, authorizers

    def routes(self) -> dict[tuple[str, str, str], dict[str, Special]]:
        """Of all kinds of reviews."""
        handlers: dict[str, Special] = {
            "tokenreviews": self.token_review,
            "selfsubjectreviews": self.self_subject_review,
            "subjectaccessreviews": self.subject_access_review,
            "localsubjectaccessreviews": self.local_subject_access_review,
            "selfsubjectaccessreviews": self.self_subject_access_review,
            "selfsubjectrulesreviews": self.self_subject_rules_review,
        }
        resources = (*authentication.RESOURCES, *authorization.RESOURCES)
        return {(r.group, r.name, ""): {"create": handlers[r.name]} for r in resources}

    async def _read(self, request: Request, info: RequestInfo, query: Query, user: User) -> Posted:
        """The question; StatusError 422 for one that cannot be answered."""
        store = self._served[info.group, info.version, info.resource].store
        posted = await read(request, info, query, user, store.resource)
        await store.track(posted.body, posted.options)
        await apart.run(posted.options.size, _check, posted.body, store.resource)
        return posted

    async def token_review(self, request: Request, info: RequestInfo, query: Query, user: User) -> Response:
        """Whose a token is."""
        posted = await self._read(request, info, query, user)
        spec = posted.body.get("spec") or {}
        token, audiences = spec.get("token", ""), tuple(spec.get("audiences") or ())
        if not token:
            raise errors.bad_request("token is required for TokenReview in authentication")
        status: Object
        try:
            authenticated = await self._authenticators.token(token, audiences)
            status = {"authenticated": True, "user": user_info(authenticated.user)}
            if authenticated.audiences:
                status["audiences"] = list(authenticated.audiences)
        except TokenError as error:
            status = {"user": {}, "error": str(error)}
        return _answered(posted, status=status)

    async def self_subject_review(self, request: Request, info: RequestInfo, query: Query, user: User) -> Response:
        """Who asks."""
        posted = await self._read(request, info, query, user)
        return _answered(posted, status={"userInfo": user_info(user)})

    async def _access(self, posted: Posted, user: User | None = None) -> Object:
        """`user`: who asks, where it is about no other."""
        spec, size = posted.body["spec"], posted.options.size
        about = await apart.run(size, asked_user, spec) if user is None else user
        decision = await self._authorizers.authorize(about, await apart.run(size, attributes, spec))
        status: Object = {"allowed": decision.allowed}
        if decision.denied:
            status["denied"] = True
        if decision.reason:
            status["reason"] = decision.reason
        if decision.error:
            status["evaluationError"] = decision.error
        return status

    async def subject_access_review(self, request: Request, info: RequestInfo, query: Query, user: User) -> Response:
        """Whether somebody may."""
        posted = await self._read(request, info, query, user)
        return _answered(posted, status=await self._access(posted))

    async def local_subject_access_review(
        self, request: Request, info: RequestInfo, query: Query, user: User
    ) -> Response:
        """Whether somebody may, in one namespace."""
        if not info.namespace:
            raise not_allowed()
        posted = await self._read(request, info, query, user)
        return _answered(posted, status=await self._access(posted))

    async def self_subject_access_review(
        self, request: Request, info: RequestInfo, query: Query, user: User
    ) -> Response:
        """Whether who asks may."""
        posted = await self._read(request, info, query, user)
        return _answered(posted, status=await self._access(posted, user))

    async def self_subject_rules_review(
        self, request: Request, info: RequestInfo, query: Query, user: User
    ) -> Response:
        """All that who asks may in a namespace."""
        posted = await self._read(request, info, query, user)
        namespace = (posted.body.get("spec") or {}).get("namespace", "")
        if not namespace:
            raise errors.bad_request("no namespace on request")
        return _answered(posted, spec={}, status=self._rules(user, namespace))

    def _rules(self, user: User, namespace: str) -> Object:
        rules, problems = self._authorizers.rules_for(user, namespace)
        status: Object = {
            "resourceRules": [
                {k: v for k, v in rule.items() if k != "nonResourceURLs"} for rule in rules if rule.get("resources")
            ],
            "nonResourceRules": [
                {"verbs": rule["verbs"], "nonResourceURLs": rule["nonResourceURLs"]}
                for rule in rules
                if rule.get("nonResourceURLs")
            ],
            "incomplete": bool(problems),
        }
        if problems:
            status["evaluationError"] = aggregated(problems)
        return status


def _check(review: Object, resource: Resource) -> None:
    """StatusError 422 for a question that cannot be answered."""
    problems = resource.validate(review)
    if problems:
        raise errors.invalid(resource.group, "", "", problems)


def _answered(posted: Posted, **more: Any) -> Response:
    review = {**posted.body, **more}
    review["metadata"] = {**review["metadata"], "creationTimestamp": None}
    return posted.created(review)
