"""What /livez, /healthz and /readyz say of a store that is asked."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest

from pybernetes.apiserver.endpoints.health import Health
from pybernetes.wire.http import Request


@pytest.mark.parametrize(
    ("following", "answers", "kind", "single", "query", "code", "asked"),
    [
        (True, True, "livez", "", "", 200, ["etcd"]),
        (True, True, "readyz", "", "", 200, ["etcd", "etcd-readiness"]),
        (True, False, "livez", "", "", 500, ["etcd"]),
        (True, False, "readyz", "etcd-readiness", "", 500, ["etcd-readiness"]),
        (True, False, "readyz", "ping", "", 200, []),
        (True, False, "readyz", "", "exclude=etcd&exclude=etcd-readiness", 200, []),
        (False, True, "healthz", "", "", 500, ["etcd"]),
    ],
)
def test_the_store_is_asked_by_the_checks_that_are_looked_at(
    following: bool, answers: bool, kind: str, single: str, query: str, code: int, asked: list[str]
) -> None:
    seen: list[str] = []

    def ask(name: str) -> Any:
        async def asked() -> bool:
            seen.append(name)
            return answers

        return asked

    caches = SimpleNamespace(main=SimpleNamespace(following=following, revision=1), others=[])
    health = Health(cast(Any, caches), (), {name: ask(name) for name in ("etcd", "etcd-readiness")})
    health.serving = True
    request = Request("GET", f"/{kind}".encode(), query.encode(), ())
    answer = asyncio.run(health.answer(kind, single, request, {}))
    assert (answer.status, seen) == (code, asked)
