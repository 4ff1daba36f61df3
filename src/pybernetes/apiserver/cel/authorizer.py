"""What expressions ask of the authorizer. An expression cannot wait: it is evaluated again when the answer is there."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from pybernetes.api.wellknown import (
    ALL_AUTHENTICATED,
    ALL_SERVICE_ACCOUNTS_GROUP,
    SERVICE_ACCOUNT_GROUP_PREFIX,
    SERVICE_ACCOUNT_USERNAME_PREFIX,
)
from pybernetes.cel.errors import CelError
from pybernetes.cel.library.authorizer import Attributes, Decision

from ..authentication.user import User
from ..types import Authorizer, RequestInfo

Ask = Callable[[Attributes], Awaitable[Decision]]


class Unanswered(CelError):
    """Somebody must ask first."""

    def __init__(self, attributes: Attributes) -> None:
        super().__init__("the authorizer has not answered yet")
        self.attributes = attributes


class Answers:
    """The authorizer as expressions see it."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        self._known: dict[Attributes, Decision] = {}

    def authorize(self, attributes: Attributes) -> Decision:
        """What is known. Unanswered."""
        decision = self._known.get(attributes)
        if decision is None:
            raise Unanswered(attributes)
        return decision

    async def learn(self, question: Unanswered) -> None:
        """Asks."""
        self._known[question.attributes] = await self._ask(question.attributes)


def asking(authorizer: Authorizer, user: User) -> Ask:
    """Asks for the user, or for the service account that the expression names."""

    async def ask(attributes: Attributes) -> Decision:
        decision = await authorizer.authorize(_subject(attributes, user), _info(attributes))
        return Decision(decision.allowed, decision.reason)

    return ask


def _subject(attributes: Attributes, user: User) -> User:
    if attributes.service_account is None:
        return user
    namespace, name = attributes.service_account
    groups = (ALL_SERVICE_ACCOUNTS_GROUP, f"{SERVICE_ACCOUNT_GROUP_PREFIX}{namespace}", ALL_AUTHENTICATED)
    return User(f"{SERVICE_ACCOUNT_USERNAME_PREFIX}{namespace}:{name}", groups)


def _info(attributes: Attributes) -> RequestInfo:
    if attributes.path:
        return RequestInfo(attributes.verb, attributes.path)
    return RequestInfo(
        attributes.verb,
        "",
        is_resource=True,
        group=attributes.group,
        version="*",
        namespace=attributes.namespace,
        resource=attributes.resource,
        subresource=attributes.subresource,
        name=attributes.name,
        field_selector=attributes.field_selector,
        label_selector=attributes.label_selector,
    )
