"""The recorded cases of the old group-versions, but those that known_failures_legacy.txt names; that file may only get shorter."""

import asyncio
import functools

from .golden import Outcome, cases
from .known_failures import LEGACY, known_failures
from .legacy import outcomes


@functools.cache
def played() -> dict[str, Outcome]:
    """Each case once."""
    return asyncio.run(outcomes([name for name in cases("legacy") if name not in known_failures(LEGACY)]))


def test_recorded_cases_are_the_same() -> None:
    assert {name: result.difference for name, result in played().items() if result.difference} == {}


def test_known_failures_still_differ() -> None:
    found = asyncio.run(outcomes(sorted(known_failures(LEGACY)), patience=0.2))
    assert [name for name, result in found.items() if not result.difference] == [], "take them out of the list"


def test_list_names_cases() -> None:
    assert known_failures(LEGACY) - set(cases("legacy")) == set()
