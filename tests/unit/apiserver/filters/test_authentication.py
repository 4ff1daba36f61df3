"""Who asks."""

from dataclasses import replace

import pytest

from pybernetes.aio.clock import VirtualClock
from pybernetes.api import errors
from pybernetes.api.errors import StatusError
from pybernetes.apiserver.audit import Stage
from pybernetes.apiserver.authentication.chain import Authenticators
from pybernetes.apiserver.authentication.requestheader import RequestHeader
from pybernetes.apiserver.authentication.user import User
from pybernetes.apiserver.filters.authentication import Authentication
from pybernetes.component.metrics import Registry
from pybernetes.wire.http import Request

from .links import OK, PODS, Next, exchange, request, run

CLOCK = VirtualClock()


class Known:
    """Everyone is one user; nobody without one."""

    def __init__(self, user: User | None) -> None:
        self._user = user

    async def authenticate(self, request: Request) -> User | None:
        if self._user is None:
            raise errors.unauthorized()
        return self._user


@pytest.mark.parametrize(("name", "counted"), [("admin", "admin"), ("jane", "other"), ("jane@example.com", "email_id")])
def test_the_user_is_known_from_here(name: str, counted: str) -> None:
    user, registry, rest = User(name), Registry(), Next()
    one = exchange()
    assert run(Authentication(Authenticators([Known(user)]), registry, CLOCK), one, rest) is OK
    assert rest.seen == [one]
    assert (one.user, one.event.user) == (user, user)
    text = registry.text()
    assert f'authenticated_user_requests{{username="{counted}"}} 1' in text
    assert 'authentication_attempts{result="success"} 1' in text


def test_nobody_goes_on() -> None:
    registry, rest = Registry(), Next()
    one = exchange()
    with pytest.raises(StatusError) as refused:
        run(Authentication(Authenticators([Known(None)], anonymous=True), registry, CLOCK), one, rest)
    assert (refused.value.code, rest.seen, one.event.user) == (401, [], None)
    assert 'authentication_attempts{result="failure"} 1' in registry.text()


TOKEN = "base64url.bearer.authorization.k8s.io.abc"


@pytest.mark.parametrize(
    ("headers", "kept"),
    [
        ([("authorization", "Bearer x"), ("accept", "*/*")], [("accept", "*/*")]),
        ([("x-remote-user", "admin"), ("x-remote-group", "g"), ("x-remote-extra-a", "b"), ("x-remote-uid", "1")], []),
        ([("x-who", "admin"), ("x-who-more-a", "b"), ("x-whose", "c")], [("x-whose", "c")]),
        ([("impersonate-user", "u")], [("impersonate-user", "u")]),  # the next link's
        (
            [("sec-websocket-protocol", f"{TOKEN}, v4.channel.k8s.io")],
            [("sec-websocket-protocol", "v4.channel.k8s.io")],
        ),
        ([("sec-websocket-protocol", TOKEN)], []),
        ([("sec-websocket-protocol", "a, b")], [("sec-websocket-protocol", "a, b")]),
    ],
)
def test_credentials_go_no_further(headers: list[tuple[str, str]], kept: list[tuple[str, str]]) -> None:
    """Bearer tokens wherever they stand, the usual headers of front proxies, and those that are used here."""
    proxy = RequestHeader(lambda _: False, username_headers=("X-Who",), extra_prefixes=("X-Who-More-",))
    one = exchange(Request("GET", b"/", b"", tuple(headers)))
    run(Authentication(Authenticators([proxy, Known(User("u"))]), Registry(), CLOCK), one, Next())
    assert list(one.request.headers) == kept


@pytest.mark.parametrize(
    ("query", "headers", "certificate", "attempted"),
    [
        ("", {}, None, "no credentials provided"),
        ("", {"authorization": "Bearer x"}, None, "attempted: bearer"),
        ("", {"authorization": "bearer"}, None, "no credentials provided"),
        ("", {"authorization": "Basic eDp5"}, b"der", "attempted: basic, x509"),
        ("", {"authorization": "Negotiate x"}, None, "no credentials provided"),
        ("access_token=x", {}, None, "attempted: access_token"),
    ],
)
def test_what_was_attempted_is_in_the_event(
    query: str, headers: dict[str, str], certificate: bytes | None, attempted: str
) -> None:
    asked = replace(request("GET", PODS, query, **headers), peer_certificate=certificate)
    one = exchange(asked)
    with pytest.raises(StatusError):
        run(Authentication(Authenticators([Known(None)]), Registry(), CLOCK), one, Next())
    event = one.event
    assert event.response == {"message": f"Authentication failed, {attempted}", "code": 401}
    assert (event.stage, event.stage_time) == (Stage.RESPONSE_STARTED, event.received)
