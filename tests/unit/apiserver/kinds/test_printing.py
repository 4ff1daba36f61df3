from __future__ import annotations

from datetime import UTC, datetime

import pytest

from pybernetes.apiserver.kinds.printing import age, format_labels, format_selector, go_selector, human_duration

DAY = 86400


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "<invalid>"),
        (-1.5, "0s"),
        (0, "0s"),
        (119, "119s"),
        (120, "2m"),
        (130, "2m10s"),
        (600, "10m"),
        (3 * 3600, "3h"),
        (3 * 3600 + 60, "3h1m"),
        (8 * 3600 + 60, "8h"),
        (47 * 3600, "47h"),
        (2 * DAY, "2d"),
        (2 * DAY + 3600, "2d1h"),
        (8 * DAY + 3600, "8d"),
        (2 * 365 * DAY, "2y"),
        (6 * 365 * DAY + 329 * DAY, "6y329d"),
        (9 * 365 * DAY, "9y"),
    ],
)
def test_human_duration(seconds: float, text: str) -> None:
    assert human_duration(seconds) == text


def test_age() -> None:
    assert age(None, datetime(2026, 1, 1, tzinfo=UTC)) == "<unknown>"
    assert age("2026-01-01T00:00:00Z", datetime(2026, 1, 1, 0, 5, tzinfo=UTC)) == "5m"


def test_labels_and_selectors() -> None:
    assert format_labels({"b": "2", "a": "1"}) == "a=1,b=2"
    assert format_labels(None) == "<none>"
    assert format_selector({"matchLabels": {"a": "b"}}) == "a=b"
    assert format_selector({}) == "<none>"
    assert format_selector({"matchExpressions": [{"key": "a", "operator": "X"}]}) == "<error>"


def test_selectors_as_go_prints_them() -> None:
    rule = {"key": "k", "operator": "In", "values": ["x", "y"]}
    rules = "[]LabelSelectorRequirement{LabelSelectorRequirement{Key:k,Operator:In,Values:[x y],},}"
    shown = f"&LabelSelector{{MatchLabels:map[string]string{{a: b,}},MatchExpressions:{rules},}}"
    assert go_selector({"matchLabels": {"a": "b"}, "matchExpressions": [rule]}) == shown
