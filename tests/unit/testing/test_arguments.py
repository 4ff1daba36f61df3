"""What a test may ask its cluster for, and what it is told otherwise."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import pytest

from pybernetes import testing
from pybernetes.controllers import CONTROLLERS, selected
from pybernetes.testing import TestCluster, WrongArgument, arguments

AT_ONCE_SECONDS = 30.0  # not the minute that a start may take


@pytest.mark.parametrize(
    ("chosen", "names"),
    [
        ("all", ("*",)),
        (["all"], ("*",)),
        (("*",), ("*",)),
        (True, ("*",)),
        (False, ()),
        (None, ()),
        ((), ()),
        ("", ()),
        ("none", ()),
        (["none"], ()),
        ("deployment, replicaset", ("deployment", "replicaset")),
        (["*", "-nodelifecycle"], ("*", "-nodelifecycle")),
        ({"job-controller"}, ("job-controller",)),
        ("deployment-controller", ("deployment-controller",)),
    ],
)
def test_ways_to_ask_for_controllers(chosen: object, names: tuple[str, ...]) -> None:
    assert arguments.controllers(chosen) == names


@pytest.mark.parametrize("chosen", ["deploy", ["deployment", "nothing"], ["-nothing"], "a,b"])
def test_an_unknown_controller_is_answered_with_the_names(chosen: object) -> None:
    with pytest.raises(WrongArgument) as raised:
        arguments.controllers(chosen)
    text = str(raised.value)
    assert text.startswith("controllers=") and "is not in the list of known controllers" in text
    assert all(entry.name in text for entry in CONTROLLERS) and "\n" not in text


@pytest.mark.parametrize("chosen", [3, [3], object(), [None], ["none", "deployment"], 1.5])
def test_what_is_no_list_of_controllers(chosen: object) -> None:
    with pytest.raises(WrongArgument, match=r"^controllers="):
        arguments.controllers(chosen)


@pytest.mark.parametrize(
    ("check", "good", "bad"),
    [
        (arguments.hollow_nodes, [0, 1, 5000], [-1, 5001, "3", 1.0, True, None]),
        (arguments.port, [0, 1, 65535], [-1, 65536, 99999, "80", None, False]),
        (arguments.scheduler, [True, False], [1, "yes", None]),
    ],
)
def test_numbers_and_switches(check: Any, good: list[Any], bad: list[Any]) -> None:
    assert [check(value) for value in good] == good
    for value in bad:
        with pytest.raises(WrongArgument, match=f"^{check.__name__}="):
            check(value)


@pytest.mark.parametrize(
    ("names", "nodes", "scheduling", "runs"),
    [
        ((), 2, True, True),
        (("deployment",), 2, True, True),
        (("*",), 2, True, True),
        (("nodelifecycle",), 1, True, True),
        ((), 0, True, False),
        ((), 2, False, False),
        (("*", "-node-lifecycle-controller"), 2, True, False),
    ],
)
def test_hollow_nodes_take_pods_where_there_is_a_scheduler(
    names: tuple[str, ...], nodes: int, scheduling: bool, runs: bool
) -> None:
    run = {entry.name for entry in selected(arguments.with_lifecycle(names, nodes, scheduling))}
    assert ("node-lifecycle-controller" in run) is runs


@pytest.mark.parametrize(
    "wrong",
    [
        {"controllers": "deploy"},
        {"hollow_nodes": -1},
        {"hollow_nodes": "3"},
        {"scheduler": "yes"},
        {"signing_seconds": 0},
    ],
)
def test_wrong_arguments_are_refused_at_once(wrong: dict[str, Any], tmp_path: Path) -> None:
    """By both ways in, before a thread or a server is there."""
    with pytest.raises(WrongArgument):
        TestCluster(tmp_path, **wrong)
    threads, began = threading.active_count(), time.monotonic()
    with pytest.raises(WrongArgument), testing.cluster(**wrong):
        raise AssertionError("it has started")
    assert time.monotonic() - began < AT_ONCE_SECONDS and threading.active_count() == threads


def test_what_stops_a_start_is_the_cause(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    """And told once: the thread prints no traceback of its own."""

    async def fail(self: TestCluster, port: int = 0) -> None:
        raise OSError("no memory for a store")

    monkeypatch.setattr(TestCluster, "start", fail)
    began = time.monotonic()
    with pytest.raises(RuntimeError, match="did not start: no memory for a store") as raised, testing.cluster():
        raise AssertionError("it has started")
    assert isinstance(raised.value.__cause__, OSError) and time.monotonic() - began < AT_ONCE_SECONDS
    assert "Traceback" not in capfd.readouterr().err
