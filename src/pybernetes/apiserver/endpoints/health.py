"""/healthz, /livez and /readyz: what is looked at, and upstream's words for it (upstream: apiserver/pkg/server/healthz)."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from urllib.parse import parse_qs

from pybernetes.wire.http import Request, Response

from ..generic.cache import WatchCache
from ..generic.caches import Caches

HEALTH = ("healthz", "livez", "readyz")
TEXT = [("Content-Type", "text/plain; charset=utf-8"), ("X-Content-Type-Options", "nosniff")]

Check = Callable[[], bool]
Ask = Callable[[], Awaitable[bool]]


class Health:
    """How far the start is, and whether the watch cache follows the store. `hooks` are what is done at the start, by name.

    `asks`: whether the store answers, for the checks that ask it whenever they are looked at: a watch that is still connected says
    nothing of a store that cannot write (upstream: storage/storagebackend/factory). `others` are servers that this one needs: it does
    not get well by a restart where they are not, so /livez does not ask them.
    """

    def __init__(
        self,
        caches: Caches,
        hooks: Iterable[str],
        asks: Mapping[str, Ask] | None = None,
        others: Mapping[str, Ask] | None = None,
    ) -> None:
        self._caches, self._others = caches, others or {}
        self._asks = {**(asks or {}), **self._others}
        self._waiting = list(hooks)
        self._done = dict.fromkeys(hooks, False)
        self.serving = False  # false before the start is over, and from the moment that the server stops
        self._checks = self._all()

    def done(self, hook: str) -> None:
        """A part of the start is over."""
        self._done[hook] = True

    async def answer(self, kind: str, single: str, request: Request, query: Mapping[str, str]) -> Response | None:
        """`kind` is one of HEALTH, `single` the one check that is asked for, "": all. None where there is no such check."""
        checks, skip = self._checks[kind], excluded(request)
        if single and single not in checks:
            return None
        asked = [
            name for name in self._asks if name in checks and single in ("", name) and (single or name not in skip)
        ]
        answers = dict(zip(asked, await asyncio.gather(*(self._asks[name]() for name in asked)), strict=True))
        told = {name: functools.partial(_both, check, answers.get(name, True)) for name, check in checks.items()}
        return health(kind, single, told, query, skip)

    def _all(self) -> dict[str, dict[str, Check]]:
        def over(hook: str) -> Check:
            return lambda: self._done[hook]

        cache = self._caches.main
        hooks = {f"poststarthook/{hook}": over(hook) for hook in self._done}
        common: dict[str, Check] = {"ping": lambda: True, "log": lambda: True, "etcd": lambda: cache.following}
        ready: dict[str, Check] = {"etcd-readiness": common["etcd"], "informer-sync": lambda: cache.revision > 0}
        for number, other in enumerate(self._caches.others):
            common[f"etcd-override-{number}"] = ready[f"etcd-override-readiness-{number}"] = _follows(other)
        shutdown: dict[str, Check] = {"shutdown": lambda: self.serving}
        others: dict[str, Check] = {name: lambda: True for name in self._others}
        return {
            "healthz": common | hooks | others,
            "livez": common | hooks,
            "readyz": common | ready | hooks | others | shutdown,
        }


def _both(check: Check, answered: bool) -> bool:
    return answered and check()


def _follows(cache: WatchCache) -> Check:
    return lambda: cache.following


def excluded(request: Request) -> list[str]:
    """Names of checks that ?exclude= leaves out; it may be given several times."""
    return parse_qs(request.query.decode("latin-1")).get("exclude", [])


def health(
    name: str, single: str, checks: Mapping[str, Check], query: Mapping[str, str], skip: Sequence[str]
) -> Response:
    """One check or all, as upstream words it (apiserver/pkg/server/healthz)."""
    if single:
        if checks[single]():
            return Response(200, TEXT, b"ok")
        return Response(500, TEXT, f"internal server error: check {single} failed\n".encode())
    lines, failed = [], False
    for check, run in checks.items():
        if check in skip:
            lines.append(f"[+]{check} excluded: ok")
        elif run():
            lines.append(f"[+]{check} ok")
        else:
            failed = True
            lines.append(f"[-]{check} failed: reason withheld")
    unknown = [f'"{check}"' for check in skip if check not in checks]
    if unknown:
        lines.append(f"warn: some health checks cannot be excluded: no matches for {','.join(unknown)}")
    if failed:
        return Response(500, TEXT, ("\n".join(lines) + f"\n{name} check failed\n").encode())
    if "verbose" in query:
        return Response(200, TEXT, ("\n".join(lines) + f"\n{name} check passed\n").encode())
    return Response(200, TEXT, b"ok")
