"""The recorded cases, but those that known_failures.txt names; that file may only get shorter."""

import asyncio

from .control import outcomes
from .golden import cases, outcome, server
from .known_failures import known_failures

FOLDERS = ("kinds", "semantics")
# Cases in which a controller acts: they are played against a server that has them.
WITH_CONTROLLERS = frozenset(
    {
        "semantics/admission/quota-compute",
        "semantics/admission/quota-dry-run",
        "semantics/admission/quota-not-best-effort",
        "semantics/admission/quota-scopes-immutable",
        "semantics/admission/quota-several",
        "semantics/admission/quota-storage",
        "semantics/auth/aggregated",
        "semantics/lifecycle/delete-background",
        "semantics/lifecycle/delete-foreground",
        "semantics/lifecycle/delete-orphan-dependents",
        "semantics/lifecycle/namespace-delete-waits",
        "semantics/lifecycle/namespace-terminating",
        "semantics/subresources/csr-signed",
        "semantics/subresources/scale-deployment",
        "semantics/subresources/scale-replicaset",
        "semantics/subresources/scale-replicationcontroller",
        "semantics/subresources/scale-statefulset",
    }
)


def test_recorded_cases_are_the_same() -> None:
    async def main() -> dict[str, str]:
        known = known_failures()
        async with server() as client:
            alone = [name for name in cases(*FOLDERS) if name not in known | WITH_CONTROLLERS]
            return {name: await outcome(client, name) for name in alone}

    assert {name: difference for name, difference in asyncio.run(main()).items() if difference} == {}


def test_recorded_cases_with_controllers_are_the_same() -> None:
    found = asyncio.run(outcomes(sorted(WITH_CONTROLLERS), patience=20.0))
    assert {name: difference for name, difference in found.items() if difference} == {}


def test_known_failures_still_differ() -> None:
    async def main() -> list[str]:
        async with server() as client:
            return [name for name in sorted(known_failures()) if not await outcome(client, name, patience=0.2)]

    assert asyncio.run(main()) == [], "these are the same now: take them out of known_failures.txt"


def test_known_failures_are_cases() -> None:
    assert (known_failures() | WITH_CONTROLLERS) - set(cases(*FOLDERS)) == set()
