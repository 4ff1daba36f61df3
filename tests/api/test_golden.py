"""The recorded cases, but those that known_failures.txt and inexact.txt name; these files may only get shorter."""

import asyncio
import functools

from .control import outcomes
from .differences import DIFFERENCES
from .golden import WITH_CONTROLLERS, Outcome, cases, outcome, server
from .known_failures import INEXACT, known_failures

FOLDERS = ("kinds", "semantics")


@functools.cache
def played() -> dict[str, Outcome]:
    """Each case once."""

    async def alone() -> dict[str, Outcome]:
        async with server() as client:
            names = [name for name in cases(*FOLDERS) if name not in known_failures() | WITH_CONTROLLERS]
            return {name: await outcome(client, name) for name in names}

    return {**asyncio.run(alone()), **asyncio.run(outcomes(sorted(WITH_CONTROLLERS)))}


def test_recorded_cases_are_the_same() -> None:
    assert {name: result.difference for name, result in played().items() if result.difference} == {}


def test_texts_are_exact() -> None:
    inexact = {name: result.inexact for name, result in played().items() if result.inexact}
    listed = {name for name in known_failures(INEXACT) if name.startswith(FOLDERS)}
    assert {name: text for name, text in inexact.items() if name not in listed} == {}
    assert listed - set(inexact) == set(), "these are exact now: take them out of inexact.txt"


def test_known_failures_still_differ() -> None:
    async def main() -> list[str]:
        async with server() as client:
            return [n for n in sorted(known_failures()) if not (await outcome(client, n, patience=0.2)).difference]

    assert asyncio.run(main()) == [], "these are the same now: take them out of known_failures.txt"


def test_lists_name_cases() -> None:
    assert (known_failures() | WITH_CONTROLLERS) - set(cases(*FOLDERS)) == set()
    assert (known_failures(INEXACT) | set(DIFFERENCES)) - set(cases(*FOLDERS, "control", "legacy")) == set()
