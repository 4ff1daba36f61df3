"""The recorded cases of controllers and scheduler, but those that known_failures_control.txt and inexact.txt name."""

import asyncio
import functools

from .control import outcomes
from .golden import CONTROL as AREA
from .golden import Outcome, cases
from .known_failures import CONTROL, INEXACT, known_failures

FOLDER = "control"
SHORT_PATIENCE = 1.0  # seconds for cases that are expected to differ


@functools.cache
def played() -> dict[str, Outcome]:
    """Each case once. What differs is played again by itself: on a busy machine a fast clock may be seen between two writes of a status."""
    known, listed = known_failures(CONTROL), known_failures(INEXACT)
    results = asyncio.run(outcomes([name for name in cases(FOLDER) if name not in known]))
    doubtful = [name for name, one in results.items() if one.difference or (one.inexact and name not in listed)]
    return {**results, **asyncio.run(outcomes(doubtful))}


def test_recorded_cases_are_the_same() -> None:
    assert {name: result.difference for name, result in played().items() if result.difference} == {}


def test_texts_are_exact() -> None:
    inexact = {name: result.inexact for name, result in played().items() if result.inexact}
    listed = {name for name in known_failures(INEXACT) if name.startswith(AREA)}
    assert {name: text for name, text in inexact.items() if name not in listed} == {}
    assert listed - set(inexact) == set(), "these are exact now: take them out of inexact.txt"


def test_known_failures_still_differ() -> None:
    found = asyncio.run(outcomes(sorted(known_failures(CONTROL)), SHORT_PATIENCE))
    same = [name for name, result in found.items() if not result.difference]
    assert same == [], "these are the same now: take them out of known_failures_control.txt"


def test_known_failures_are_cases() -> None:
    assert known_failures(CONTROL) - set(cases(FOLDER)) == set()
