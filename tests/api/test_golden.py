"""The recorded cases, but those that known_failures.txt names; that file may only get shorter."""

import asyncio

from .golden import cases, outcome, server
from .known_failures import known_failures

FOLDERS = ("kinds", "semantics")


def test_recorded_cases_are_the_same() -> None:
    async def main() -> dict[str, str]:
        known = known_failures()
        async with server() as client:
            return {name: await outcome(client, name) for name in cases(*FOLDERS) if name not in known}

    assert {name: difference for name, difference in asyncio.run(main()).items() if difference} == {}


def test_known_failures_still_differ() -> None:
    async def main() -> list[str]:
        async with server() as client:
            return [name for name in sorted(known_failures()) if not await outcome(client, name, patience=0.2)]

    assert asyncio.run(main()) == [], "these are the same now: take them out of known_failures.txt"


def test_known_failures_are_cases() -> None:
    assert known_failures() - set(cases(*FOLDERS)) == set()
