"""What watchers and lists may be told, beside a log."""

from __future__ import annotations

import pytest

from tests.etcd.faults.events import Log, Told, Watched, back_problems, list_problems, lost_problems, watch_problems
from tests.etcd.faults.history import Kind, Listing, Operation, Outcome

EVENTS = [Told(2, "a"), Told(3, "b"), Told(5, "a", True), Told(7, "a")]
LOG = Log(EVENTS)


@pytest.mark.parametrize(
    ("after", "events", "words"),
    [
        (1, EVENTS, []),
        (2, EVENTS[1:], []),
        (1, [], []),
        (1, EVENTS[:2], []),
        (1, [EVENTS[0], EVENTS[2]], ["missed 1 events, first Told(revision=3"]),
        (1, EVENTS[1:], ["missed 1 events, first Told(revision=2"]),
        (1, [EVENTS[0], EVENTS[0], EVENTS[1]], ["revision 2 came after 2"]),
        (1, [EVENTS[1], EVENTS[0]], ["revision 2 came after 3", "never were"]),
        (1, [EVENTS[0], EVENTS[1], Told(4, "c")], ["never were"]),
        (1, [EVENTS[0], Told(3, "b", True)], ["missed", "never were"]),
    ],
)
def test_watches(after: int, events: list[Told], words: list[str]) -> None:
    problems = watch_problems(LOG, [Watched(0, after, events)])
    assert len(problems) == len(words)
    assert all(word in problem for word, problem in zip(words, problems, strict=True))


def test_lists_do_not_go_back() -> None:
    assert back_problems([Watched(0, 1, EVENTS), Watched(0, 7), Watched(1, 2)]) == []
    assert back_problems([Watched(0, 1, EVENTS), Watched(0, 6)]) == ["watcher 0: listed at 6 after it had seen 7"]


def test_lists_are_what_there_was() -> None:
    assert list_problems(LOG, [Listing(0, "", 0, 1, 4, {"a": 2, "b": 3}), Listing(0, "b", 0, 1, 9, {"b": 3})]) == []
    for wrong in ({"a": 2}, {"a": 2, "b": 3}, {"b": 3, "c": 5}, {"b": 4}):
        assert len(list_problems(LOG, [Listing(0, "", 0, 1, 6, wrong)])) == 1


def test_acknowledged_writes_are_there() -> None:
    def write(revision: int, outcome: Outcome = Outcome.DONE) -> Operation:
        return Operation(0, Kind.UPDATE, "a", 0, 1, outcome, "v", revision)

    assert lost_problems(LOG, [write(2), write(7), write(0, Outcome.UNKNOWN)]) == []
    assert len(lost_problems(LOG, [write(3), write(5), write(9)])) == 3
