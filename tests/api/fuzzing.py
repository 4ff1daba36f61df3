"""Sends what `fuzz` makes to a server in process, and says what must not be: failures, tracebacks, memory, time."""

from __future__ import annotations

import asyncio
import json
import logging
import resource
import sys
import time
from collections import Counter
from dataclasses import dataclass, field

from .fuzz import Fuzzer, Sent
from .golden import server
from .seeds import NAMESPACE, Seed, seeds

DEFINITION = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "things.fuzz.example.com"},
    "spec": {
        "group": "fuzz.example.com",
        "scope": "Namespaced",
        "names": {"plural": "things", "kind": "Thing"},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "subresources": {
                    "status": {},
                    "scale": {"specReplicasPath": ".spec.n", "statusReplicasPath": ".status.n"},
                },
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "properties": {
                            "spec": {
                                "type": "object",
                                "properties": {
                                    "n": {"type": "integer", "format": "int32", "minimum": -5, "multipleOf": 2},
                                    "f": {"type": "number", "multipleOf": 0.1},
                                    "t": {"type": "string", "pattern": "^[a-z]*$", "format": "uri"},
                                    "d": {"type": "string", "format": "date-time"},
                                    "any": {"x-kubernetes-preserve-unknown-fields": True},
                                    "items": {
                                        "type": "array",
                                        "x-kubernetes-list-type": "map",
                                        "x-kubernetes-list-map-keys": ["name"],
                                        "items": {
                                            "type": "object",
                                            "required": ["name"],
                                            "properties": {
                                                "name": {"type": "string"},
                                                "p": {"x-kubernetes-int-or-string": True},
                                            },
                                        },
                                    },
                                },
                            },
                            "status": {"type": "object", "properties": {"n": {"type": "integer"}}},
                        },
                    }
                },
            }
        ],
    },
}
THING = Seed(
    f"/apis/fuzz.example.com/v1/namespaces/{NAMESPACE}/things",
    {
        "apiVersion": "fuzz.example.com/v1",
        "kind": "Thing",
        "metadata": {"name": "t"},
        "spec": {
            **{"n": 2, "f": 0.3, "t": "a:b", "d": "2026-01-01T00:00:00Z", "any": {"a": [1]}},
            "items": [{"name": "a", "p": 1}, {"name": "b", "p": "80%"}],
        },
    },
)
ACCOUNTS = f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts"
# A 500 without a reason is an error of which upstream makes no Status (errors.unclassified); these it calls its own failures, too.
UPSTREAM_S = (b"failed calling webhook", b"the spec replicas field")
PATIENCE = 60.0  # seconds that one request may take


@dataclass
class Report:
    """What came of it."""

    statuses: Counter[int] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    slowest: tuple[float, str] = (0.0, "")
    grown: int = 0  # bytes that the process has more at its peak


class _Tracebacks(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info:
            self.texts.append(logging.Formatter().format(record)[-1500:])


async def fuzz(count: int, seed: int) -> Report:
    """Sends so many requests, one after the other."""
    report, tracebacks = Report(), _Tracebacks()
    logging.getLogger("pybernetes").addHandler(tracebacks)
    async with server() as client:

        async def send(sent: Sent) -> bytes:
            start = time.process_time()  # of client and server: what other processes take is nobody's fault
            headers = [*sent.headers, ("User-Agent", "fuzz")]
            try:
                answer = await client.request(sent.method, sent.target, headers, sent.body, timeout=PATIENCE)
            except (TimeoutError, ConnectionError, ValueError) as error:
                report.failures.append(f"{error!r} {_shown(sent)}")
                return b""
            taken = time.process_time() - start
            report.statuses[answer.status] += 1
            report.slowest = max(report.slowest, (taken, _shown(sent)))
            if (
                answer.status >= 500
                and b'"reason"' in answer.body
                and not any(text in answer.body for text in UPSTREAM_S)
                # A pod waits longer than a second for its service account: what asked for no more gets that answer.
                and not (answer.status == 504 and "timeout=1s" in sent.target)
            ):
                report.failures.append(f"{answer.status} {_shown(sent)}: {answer.body[:300]!r}")
            while tracebacks.texts:
                report.failures.append(f"traceback of {_shown(sent)}: {tracebacks.texts.pop()}")
            return answer.body

        json_type = ("Content-Type", "application/json")
        account = Sent("POST", ACCOUNTS, (json_type,), b'{"metadata": {"name": "default"}}')
        for path, body in (
            ("/api/v1/namespaces", {"metadata": {"name": NAMESPACE}}),
            ("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", DEFINITION),
        ):
            await send(Sent("POST", path, (json_type,), json.dumps(body).encode()))
        await send(account)
        while THING.path not in (published := await _paths(send)):
            await asyncio.sleep(0.05)
        fuzzer = Fuzzer(seed, published, (*seeds(), *[THING] * 10))
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        for _ in range(count):
            sent = fuzzer.next()
            await send(sent)
            if sent.method == "DELETE" and sent.target.startswith(ACCOUNTS):
                await send(account)  # each pod would wait a second and a half for it
        report.grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) << 10
    logging.getLogger("pybernetes").removeHandler(tracebacks)
    return report


async def _paths(send) -> dict[str, list[str]]:  # type: ignore[no-untyped-def]
    document = json.loads(await send(Sent("GET", "/openapi/v2")))
    paths = {path: [*methods] for path, methods in document["paths"].items()}
    if any("fuzz.example.com" in path for path in paths):
        paths[THING.path] = ["get", "post"]
    return paths


def _shown(sent: Sent) -> str:
    return f"{sent.method} {sent.target} {dict(sent.headers).get('Content-Type', '')} {sent.body[:400]!r}"


def main() -> int:
    """Prints the report; 1 where something failed."""
    count, seed = int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1
    start = time.perf_counter()
    report = asyncio.run(fuzz(count, seed))
    print(f"{count} requests in {time.perf_counter() - start:.0f} s; statuses {dict(sorted(report.statuses.items()))}")
    print(f"slowest {report.slowest[0]:.2f} s: {report.slowest[1][:300]}")
    print(f"grown by {report.grown >> 20} MB; {len(report.failures)} failures")
    for failure in report.failures[:40]:
        print(failure)
    return bool(report.failures)


if __name__ == "__main__":
    sys.exit(main())
