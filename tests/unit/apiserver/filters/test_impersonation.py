"""Acting as somebody else, where one may."""

import pytest

from pybernetes.api.errors import StatusError
from pybernetes.apiserver.authentication.user import ANONYMOUS, User
from pybernetes.apiserver.authorization.modes import Authorizers
from pybernetes.apiserver.filters.impersonation import Impersonation
from pybernetes.apiserver.types import Decision, RequestInfo

from .links import PODS, Next, exchange, request, run

ADMIN = User("admin", ("system:authenticated",))


class Only:
    """Allows what is asked about these names."""

    def __init__(self, *names: str) -> None:
        self._names = names

    async def authorize(self, user: User, info: RequestInfo) -> Decision:
        return Decision(allowed=user is ADMIN and info.verb == "impersonate" and info.name in self._names)


def link(*names: str) -> Impersonation:
    return Impersonation(Authorizers([Only(*names)]))


def test_without_headers_one_is_oneself() -> None:
    rest, one = Next(), exchange()
    run(link(), one, rest)
    assert (rest.seen, one.user, one.event.impersonated) == ([one], ANONYMOUS, None)


def test_as_whom_one_may() -> None:
    one = exchange(request("GET", PODS, impersonate_user="jane", impersonate_group="dev"))
    one.user = one.event.user = ADMIN
    run(link("jane", "dev"), one, Next())
    assert one.user == one.event.impersonated == User("jane", ("dev", "system:authenticated"))
    assert one.event.user is ADMIN


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"impersonate_user": "root"}, 403),
        ({"impersonate_user": "jane", "impersonate_group": "system:masters"}, 403),
        ({"impersonate_group": "dev"}, 400),
    ],
)
def test_as_whom_one_may_not(headers: dict[str, str], code: int) -> None:
    rest, one = Next(), exchange(request("GET", PODS, **headers))
    one.user = ADMIN
    with pytest.raises(StatusError) as refused:
        run(link("jane", "dev"), one, rest)
    assert (refused.value.code, rest.seen, one.user) == (code, [], ADMIN)
