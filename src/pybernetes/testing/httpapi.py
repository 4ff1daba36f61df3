"""What `Kube` does from Python, over HTTP: for tests in other languages (docs/testing.md has the table).

A link of the chain that answers paths below /testing/ to who shows the administrator's token. It stands before the deadline of requests:
an advance of the clock would end itself.
"""

from __future__ import annotations

import hmac
import inspect
import itertools
import json
from collections.abc import Awaitable, Callable
from typing import Any

from pybernetes.api import errors
from pybernetes.api.errors import StatusError
from pybernetes.api.times import format_micro_time
from pybernetes.apiserver.endpoints.routes import Answer
from pybernetes.apiserver.filters.exchange import Exchange, Handler
from pybernetes.apiserver.filters.faultrules import NAMES, Fault, FaultError
from pybernetes.store.memory import Snapshot
from pybernetes.wire.http import BodyError, Response

from .arguments import WrongArgument, advance
from .core import PARTS, Core
from .scripts import Scripts

ROOT = "/testing/"
SNAPSHOTS = 100
SCRIPT = tuple(inspect.signature(Scripts.add).parameters)[1:]  # what a script may say
JSON = (("Content-Type", "application/json"),)
PATHS = {
    "GET clock": "what time it is",
    "POST clock": 'time passes: {"advance": "1h"}',
    "GET faults": "the rules that hold, with their hits",
    "POST faults": "adds a rule, or a list of them",
    "DELETE faults": "no rule holds any more",
    "POST watches": 'ends those that run: {"resource": "pods", "gone": false}',
    "POST snapshots": "keeps all objects as they are: its id",
    "POST snapshots/ID": "all objects as they were",
    "DELETE snapshots/ID": "forgets it",
    "POST pods": 'what pods do: {"selector": "app=web", "exit": 1, "after": "3s"}',
    "DELETE pods": "they do again what they do by themselves",
    "DELETE nodes/NAME": "a hollow node dies",
    "GET requests": "the last ones of others than the cluster's own parts",
    "DELETE requests": "forgets them",
}


class TestingAPI:
    """Of one cluster, whose administrator's token it wants."""

    __test__ = False  # not a test, whatever pytest thinks of the name

    def __init__(self, virtual_time: bool) -> None:
        """`virtual_time`: it runs on a loop of which the clock can be told when it is at rest."""
        self.core: Core  # before the first request
        self._virtual_time = virtual_time
        self._snapshots: dict[str, Snapshot] = {}
        self._numbers = itertools.count(1)

    def __call__(self, exchange: Exchange, next: Handler) -> Awaitable[Answer]:
        if not exchange.info.path.startswith(ROOT):
            return next(exchange)
        return self._answer(exchange)

    async def _answer(self, exchange: Exchange) -> Answer:
        request = exchange.request
        shown = (request.header("authorization") or "").encode()
        if not hmac.compare_digest(shown, f"Bearer {self.core.running.token}".encode()):
            raise errors.unauthorized("paths below /testing/ want the administrator's token")
        try:
            body = (await request.whole()).body
            given = json.loads(body) if body else {}
        except BodyError as error:
            raise errors.request_entity_too_large(str(error)) from None
        except ValueError as error:
            raise errors.bad_request(f"the body is no JSON: {error}") from None
        verb, _, name = exchange.info.path.removeprefix(ROOT).partition("/")
        action = self._actions().get((request.method, verb, bool(name)))
        if action is None:
            paths = ", ".join(PATHS)
            raise errors.generic(
                404, request.method, "", "", "", f"there is no {request.method} {exchange.info.path}; there is {paths}"
            )
        try:
            answer = await action(name, given)
        except (WrongArgument, FaultError, TypeError) as error:
            raise errors.bad_request(str(error)) from error
        return Response(200, JSON, json.dumps(answer).encode())

    def _actions(self) -> dict[tuple[str, str, bool], Callable[[str, Any], Awaitable[Any]]]:
        return {
            ("GET", "", False): self._paths,
            ("GET", "clock", False): self._now,
            ("POST", "clock", False): self._advance,
            ("GET", "faults", False): self._faults,
            ("POST", "faults", False): self._add_faults,
            ("DELETE", "faults", False): self._clear_faults,
            ("POST", "watches", False): self._end_watches,
            ("POST", "snapshots", False): self._take,
            ("POST", "snapshots", True): self._restore,
            ("DELETE", "snapshots", True): self._forget,
            ("POST", "pods", False): self._script,
            ("DELETE", "pods", False): self._clear_scripts,
            ("DELETE", "nodes", True): self._kill,
            ("GET", "requests", False): self._requests,
            ("DELETE", "requests", False): self._clear_requests,
        }

    async def _paths(self, name: str, given: Any) -> Any:
        return PATHS

    async def _now(self, name: str, given: Any) -> Any:
        return {"now": format_micro_time(self.core.clock.now())}

    async def _advance(self, name: str, given: Any) -> Any:
        if not self._virtual_time:
            raise WrongArgument(
                "the clock goes as real time does: start testserver with --virtual-time to send it ahead"
            )
        seconds = advance(_only(given, "advance").get("advance"))
        try:
            await self.core.clock.advance(seconds)
        except RuntimeError as error:  # who has no rest
            raise errors.service_unavailable(str(error)) from error
        return await self._now(name, given)

    async def _faults(self, name: str, given: Any) -> Any:
        rules = self.core.faults.rules
        return [{**{field: getattr(rule, field) for field in NAMES}, "hits": rule.hits} for rule in rules]

    async def _add_faults(self, name: str, given: Any) -> Any:
        self.core.faults.add([Fault.read(rule) for rule in (given if isinstance(given, list) else [given])])
        return await self._faults(name, given)

    async def _clear_faults(self, name: str, given: Any) -> Any:
        self.core.faults.rules.clear()
        return []

    async def _end_watches(self, name: str, given: Any) -> Any:
        asked = _only(given, "resource", "gone")
        resource, gone = asked.get("resource", "*"), asked.get("gone", False)
        if not isinstance(resource, str) or not isinstance(gone, bool):
            raise WrongArgument(f"resource={resource!r}, gone={gone!r}: want a text, and true or false")
        return {"ended": self.core.faults.end_watches(resource, gone)}

    async def _take(self, name: str, given: Any) -> Any:
        if len(self._snapshots) >= SNAPSHOTS:
            raise WrongArgument(f"there are {SNAPSHOTS} snapshots already: DELETE some first")
        number = str(next(self._numbers))
        self._snapshots[number] = self.core.cluster.snapshot()
        return {"id": number}

    async def _restore(self, name: str, given: Any) -> Any:
        await self.core.cluster.restore(self._snapshot(name))
        return {"id": name}

    async def _forget(self, name: str, given: Any) -> Any:
        self._snapshot(name)
        del self._snapshots[name]
        return {"id": name}

    def _snapshot(self, name: str) -> Snapshot:
        if name not in self._snapshots:
            raise _missing(f"there is no snapshot {name!r}; there is {', '.join(self._snapshots) or 'none'}")
        return self._snapshots[name]

    async def _script(self, name: str, given: Any) -> Any:
        if not isinstance(given, dict):
            raise WrongArgument("want an object, with selector and what such pods do")
        unknown = sorted(set(given) - set(SCRIPT))
        if unknown:
            raise WrongArgument(f"{unknown[0]}: there is {', '.join(SCRIPT)}")
        self.core.scripts.add(**given)
        return {}

    async def _clear_scripts(self, name: str, given: Any) -> Any:
        self.core.scripts.clear()
        return {}

    async def _kill(self, name: str, given: Any) -> Any:
        try:
            await self.core.cluster.kill_node(name)
        except KeyError:
            raise _missing(f"node {name!r} does not run") from None
        return {}

    async def _requests(self, name: str, given: Any) -> Any:
        return [json.loads(one.line()) for one in self.core.recorder.requests(without=PARTS)]

    async def _clear_requests(self, name: str, given: Any) -> Any:
        self.core.recorder.clear()
        return []


def _missing(text: str) -> StatusError:
    return errors.generic(404, "", "", "", "", text)


def _only(given: Any, *names: str) -> dict[str, Any]:
    """WrongArgument for anything else."""
    if not isinstance(given, dict) or set(given) - set(names):
        raise WrongArgument(f"want an object with {', '.join(names)}")
    return given
