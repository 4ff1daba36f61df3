"""Which autoscalers select the same pods, and how often they are asked."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from pybernetes.api import labels
from pybernetes.controllers.podautoscaler import selectors
from pybernetes.controllers.podautoscaler.selectors import Selectors


def known(**texts: str) -> Selectors:
    made = Selectors()
    for name, text in texts.items():
        made.put(("ns", name), text)
    return made


def names(made: Selectors, *pods: dict[str, str]) -> list[str]:
    return sorted(name for _, name in made.sharing("ns", pods))


def test_those_that_select_any_of_the_pods() -> None:
    made = known(a="app=x", b="app in (x,y)", c="app=z", d="!app")
    made.put(("other", "a"), "app=x")
    assert names(made, {"app": "x"}) == ["a", "b"]
    assert names(made, {"app": "y"}, {"app": "z", "more": "1"}) == ["b", "c"]
    assert names(made, {}) == ["d"]
    assert names(made) == []


def test_what_was_remembered_follows_every_change() -> None:
    made, pod = known(a="app=x"), {"app": "x"}
    assert names(made, pod) == ["a"]
    made.put(("ns", "b"), "app")
    assert names(made, pod) == ["a", "b"]
    made.put(("ns", "a"), "app=y")
    assert names(made, pod) == ["b"]
    made.remove(("ns", "b"))
    assert names(made, pod) == []
    made.remove(("ns", "a"))
    made.remove(("ns", "a"))
    made.put(("ns", "c"), "app=x")
    assert names(made, pod) == ["c"]


def test_a_sync_asks_nobody_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundred autoscalers of fifty pods each: each selector is asked once of each label set, whoever syncs and how often."""
    asked = 0
    matches = labels.Selector.matches

    def counted(self: labels.Selector, of: Mapping[str, str]) -> bool:
        nonlocal asked
        asked += 1
        return matches(self, of)

    monkeypatch.setattr(labels.Selector, "matches", counted)
    made = known(**{f"h{n}": f"app=a{n}" for n in range(100)})
    for _ in range(5):
        for number in range(100):
            pods = [{"app": f"a{number}"}] * 50
            made.put(("ns", f"h{number}"), f"app=a{number}")
            assert names(made, *pods) == [f"h{number}"]
    assert asked == 100 * 100


def test_labels_of_pods_that_are_all_different_are_not_remembered_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selectors, "MAX_LABELS", 10)
    made = known(a="app")
    assert names(made, *({"app": str(number)} for number in range(35))) == ["a"]
    assert len(made._matching["ns"]) <= 10
