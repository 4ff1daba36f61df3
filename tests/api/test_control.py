"""The recorded cases of controllers and scheduler, but those that known_failures_control.txt names; that file may only get shorter."""

import asyncio

from .control import outcomes
from .golden import cases
from .known_failures import CONTROL, known_failures

FOLDER = "control"
SHORT_PATIENCE = 1.0  # seconds for cases that are expected to differ


def test_recorded_cases_are_the_same() -> None:
    known = known_failures(CONTROL)
    found = asyncio.run(outcomes([name for name in cases(FOLDER) if name not in known]))
    assert {name: difference for name, difference in found.items() if difference} == {}


def test_known_failures_still_differ() -> None:
    found = asyncio.run(outcomes(sorted(known_failures(CONTROL)), SHORT_PATIENCE))
    same = [name for name, difference in found.items() if not difference]
    assert same == [], "these are the same now: take them out of known_failures_control.txt"


def test_known_failures_are_cases() -> None:
    assert known_failures(CONTROL) - set(cases(FOLDER)) == set()
