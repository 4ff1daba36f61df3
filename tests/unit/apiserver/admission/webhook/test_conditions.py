"""Conditions of webhooks: who decides, what they may cost, and where they are asked."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from pybernetes.apiserver.admission.webhook import conditions
from pybernetes.apiserver.cel.authorizer import Answers

TRUE, FALSE = "object.a == 'b'", "object.a == 'c'"
BROKEN = "object.none == 'b'"
DEAR = "object.list.all(x, object.list.all(y, x + y >= 0))"  # some 100 times 100 steps of 6: beyond what the loop has time for
TOO_DEAR = "object.long.all(x, object.long.all(y, x + y >= 0))"
OBJECT = {"a": "b", "list": list(range(120)), "long": list(range(3000))}


class Watched(dict[str, Any]):
    """Variables that remember on which threads they were read."""

    def __init__(self) -> None:
        super().__init__(object=OBJECT)
        self.threads: list[str] = []

    def get(self, name: str, default: Any = None) -> Any:
        self.threads.append(threading.current_thread().name.partition("_")[0])
        return super().get(name, default)


def ask(*expressions: str) -> tuple[bool, Watched]:
    async def nobody(question: Any) -> Any:
        raise AssertionError(question)

    data = Watched()
    return asyncio.run(conditions.hold(expressions, data, Answers(nobody))), data


@pytest.mark.parametrize(
    ("expressions", "holds"),
    [((TRUE,), True), ((FALSE,), False), ((TRUE, FALSE), False), ((BROKEN, FALSE), False), ((DEAR, FALSE), False)],
)
def test_all_must_be_true_and_one_false_decides(expressions: tuple[str, ...], holds: bool) -> None:
    assert ask(*expressions)[0] is holds


@pytest.mark.parametrize("expressions", [(BROKEN,), (TRUE, BROKEN), (TOO_DEAR,), (DEAR, TOO_DEAR)])
def test_what_cannot_be_evaluated_is_undecided(expressions: tuple[str, ...]) -> None:
    with pytest.raises(conditions.Undecided, match=r"resulted in error: "):
        ask(*expressions)


@pytest.mark.parametrize(("expressions", "leaves"), [((TRUE, TRUE), False), ((DEAR,), True), ((TRUE, DEAR), True)])
def test_dear_ones_leave_the_event_loop(expressions: tuple[str, ...], leaves: bool) -> None:
    """Also where each is cheap enough and only their sum is not; in a thread all are asked again."""
    holds, data = ask(*expressions)
    assert holds
    assert (data.threads[-1] == "apart") is leaves


def test_the_sum_counts() -> None:
    cheap = "object.list.all(x, x >= 0)"
    assert ask(cheap)[1].threads[-1] == "MainThread"
    assert ask(*[cheap] * 200)[1].threads[-1] == "apart"
