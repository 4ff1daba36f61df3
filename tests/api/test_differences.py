"""The replayer itself: a difference that is not needed, or has another value than it says, fails; texts have a grade of their own."""

import asyncio
import json
from typing import Any, cast

import pytest

from pybernetes.client.http import Answer, HTTPClient

from ..recorded import Change, Difference, amended
from .compare import Comparison
from .golden import Differs, Outcome, Player, totals

RECORDED: dict[str, Any] = {"code": 200, "body": {"kind": "Thing", "items": [1, 3], "message": "old", "n": 1}}


class Canned:
    """Always answers the same."""

    def __init__(self, body: Any) -> None:
        self._body = json.dumps(body).encode()

    async def request(self, *_: object, **__: object) -> Answer:
        return Answer(200, {"content-type": "application/json"}, self._body)


def play(body: Any, *differences: Difference, **case: Any) -> str:
    """The first text that is not exact. Differs."""
    client = cast(HTTPClient, Canned(body))
    player = Player(client, {"steps": [{"do": "GET /x", "expect": RECORDED}], **case}, 1.0, differences)
    asyncio.run(player.play())
    return player.inexact


def today(**values: Any) -> dict[str, Any]:
    return {**RECORDED["body"], **values}


def test_a_difference_is_made_up_for() -> None:
    play(today(n=2), Difference("", (Change(1, "body.n", 2),)))
    play(today(items=[1, 2, 3]), Difference("", (Change(1, "body.items[1]", 2, how="added"),)))
    play(today(items=[3]), Difference("", (Change(1, "body.items[0]", how="gone"),)))
    play(today(n=2), Difference("", unsaid=("n",)))


@pytest.mark.parametrize(
    ("body", "difference"),
    [
        (today(n=2), Difference("another value than it says", (Change(1, "body.n", 3),))),
        (today(n=2, kind="Other"), Difference("only of one path", (Change(1, "body.n", 2),))),
        (today(), Difference("not needed", (Change(1, "body.n", 1),))),
        (today(n=2), Difference("of no step", (Change(1, "body.n", 2), Change(2, "body.n", 2)))),
        (today(), Difference("not needed", unsaid=("n",))),
        (today(message="new"), Difference("a text is no reason", unsaid=("n",))),
    ],
)
def test_a_difference_that_does_not_hold_fails(body: Any, difference: Difference) -> None:
    with pytest.raises(Differs):
        play(body, difference)


def test_texts_are_a_grade_of_their_own() -> None:
    assert play(today()) == ""
    assert play(today(message="new")) == "step 1 (GET /x): message: 'new', not 'old'"
    assert play(today(message="new"), Difference("", (Change(1, "body.message", "new"),))) == ""


def test_a_path_that_is_not_recorded_is_an_error() -> None:
    with pytest.raises((LookupError, TypeError)):
        amended(RECORDED, [Change(1, "body.none.field", how="gone")])


def test_ignored_paths_may_be_missing_in_items_of_lists() -> None:
    want, got = {"items": [{"a": 1, "b": 2}]}, {"items": [{"b": 2}]}
    assert [m.text for m in Comparison().mismatches(want, got)] == ["items.0.a is missing (1)"]
    assert list(Comparison([["items", "a"]]).mismatches(want, got)) == []


def test_a_singular_name_is_today_that_of_the_kind() -> None:
    want = {"singularName": "", "kind": "Pod"}
    assert list(Comparison().mismatches(want, {"singularName": "pod", "kind": "Pod"})) == []
    assert list(Comparison().mismatches(want, {"singularName": "pods", "kind": "Pod"})) != []


def test_totals() -> None:
    results = {"a/b/c": Outcome(), "a/b/d": Outcome(inexact="x"), "a/e/f": Outcome(difference="y")}
    assert list(totals(results)) == [
        "a/b: 2 of 2 the same, 1 exact",
        "a/e: 0 of 1 the same, 0 exact",
        "all: 2 of 3 the same, 1 exact",
    ]
