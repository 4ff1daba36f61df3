"""What one may."""

import pytest

from pybernetes.aio.clock import VirtualClock
from pybernetes.api.errors import StatusError
from pybernetes.apiserver.audit import DECISION, REASON
from pybernetes.apiserver.authentication.user import User
from pybernetes.apiserver.authorization.modes import Authorizers
from pybernetes.apiserver.filters.authorization import Authorization
from pybernetes.apiserver.types import Decision, RequestInfo
from pybernetes.component.metrics import Registry
from pybernetes.wire.http import Request, Response

from .links import OK, PODS, Next, exchange, request, run

EXEC = f"{PODS}/a/exec"
CLOCK = VirtualClock()


class Verbs:
    """Allows these verbs."""

    def __init__(self, *verbs: str, denied: bool = False) -> None:
        self._verbs, self._denied = verbs, denied

    async def authorize(self, user: User, info: RequestInfo) -> Decision:
        allowed = info.verb in self._verbs
        return Decision(allowed=allowed, denied=self._denied and not allowed, reason=f"verbs {self._verbs}")


@pytest.mark.parametrize(
    ("verbs", "asked"),
    [
        (("list",), request("GET", PODS)),
        (("get", "create"), request("GET", EXEC, upgrade="WebSocket")),
        (("get",), request("GET", EXEC, upgrade="SPDY/3.1")),
        (("create",), request("POST", EXEC, upgrade="websocket")),
    ],
)
def test_allowed(verbs: tuple[str, ...], asked: Request) -> None:
    registry, rest, one = Registry(), Next(), exchange(asked)
    assert run(Authorization(Authorizers([Verbs(*verbs)]), registry, CLOCK.monotonic), one, rest) is OK
    assert rest.seen == [one]
    assert one.event.annotations == {DECISION: "allow", REASON: f"verbs {verbs}"}
    assert 'authorization_attempts_total{result="allowed"} 1' in registry.text()


@pytest.mark.parametrize(
    ("verbs", "asked"),
    [
        ((), request("GET", PODS)),
        (("get",), request("GET", EXEC, upgrade="websocket")),
    ],
)
def test_refused(verbs: tuple[str, ...], asked: Request) -> None:
    rest = Next()
    with pytest.raises(StatusError, match=r'User "system:anonymous" cannot (list|create) resource') as refused:
        run(Authorization(Authorizers([Verbs(*verbs)]), Registry(), CLOCK.monotonic), exchange(asked), rest)
    assert (refused.value.code, rest.seen) == (403, [])


@pytest.mark.parametrize(("denied", "result"), [(True, "denied"), (False, "no-opinion")])
def test_a_refusal_is_counted_and_kept(denied: bool, result: str) -> None:
    registry, one = Registry(), exchange()
    with pytest.raises(StatusError):
        run(Authorization(Authorizers([Verbs(denied=denied)]), registry, CLOCK.monotonic), one, Next())
    assert one.event.annotations == {DECISION: "forbid", REASON: "verbs ()"}
    assert f'authorization_attempts_total{{result="{result}"}} 1' in registry.text()


class Unreachable:
    """Cannot find out, as a webhook that nobody answers at."""

    async def authorize(self, user: User, info: RequestInfo) -> Decision:
        return Decision(error="nobody <answers>")


def test_who_cannot_be_judged_gets_500_unless_somebody_else_says_yes() -> None:
    registry, one, rest = Registry(), exchange(), Next()
    answer = run(Authorization(Authorizers([Unreachable()]), registry, CLOCK.monotonic), one, rest)
    assert isinstance(answer, Response) and rest.seen == []
    assert (answer.status, answer.body) == (500, f'Internal Server Error: "{PODS}": nobody &lt;answers&gt;\n'.encode())
    assert one.event.annotations == {REASON: "internal error"}
    assert 'authorization_attempts_total{result="error"} 1' in registry.text()
    assert 'authorization_duration_seconds_count{result="error"} 1' in registry.text()
    both = Authorizers([Unreachable(), Verbs("list")])
    assert run(Authorization(both, Registry(), CLOCK.monotonic), exchange(request("GET", PODS)), Next()) is OK
