"""The recorded pods on a real Docker engine, but those that known_failures.txt names; that file may only get shorter.

These are the quick ones; all of them, a few minutes longer: python -m tests.docker.replay
"""

import asyncio
from pathlib import Path

from .differences import DIFFERENCES, RACES
from .replay import cases, outcomes

# Cases that wait for back-offs, grace periods and monitoring intervals.
SLOW = (
    *("command-not-found-always", "emptydir-evicted", "env-missing-envfrom-secret", "env-missing-secret"),
    *("image-latest", "image-missing-tag", "image-never", "image-refused", "init-fail-always", "liveness-timeout"),
    *(
        "poststart-fail",
        "readiness-turns",
        "restart-always-1",
        "restart-onfailure-1",
        "static-deleted",
        "subpath-expr-missing",
    ),
    *("configmap-volume-missing", "env-missing-key", "nonroot-named-user", "subpath-symlink-out"),
)


def known_failures() -> set[str]:
    lines = (
        line.split("#")[0].strip() for line in Path(__file__).with_name("known_failures.txt").read_text().splitlines()
    )
    return {line for line in lines if line}


def test_recorded_pods_are_the_same() -> None:
    names = [name for name in cases() if name not in known_failures() and name not in SLOW]
    differing = {name: difference for name, difference in asyncio.run(outcomes(names)).items() if difference}
    # What was late on a busy machine gets a second chance, alone.
    again = asyncio.run(outcomes(differing, at_once=1)) if differing else {}
    assert {name: difference for name, difference in again.items() if difference} == {}


def test_lists_name_cases() -> None:
    assert (known_failures() | set(SLOW) | set(DIFFERENCES) | set(RACES)) - set(cases()) == set()
