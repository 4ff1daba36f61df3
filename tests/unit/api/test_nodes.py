"""Which nodes a pod's own demands let it run on."""

from __future__ import annotations

import pytest

from pybernetes.api.nodes import fits_affinity, tolerates, untolerated
from pybernetes.api.types import core_v1 as core

TAINT = core.Taint(key="k", effect="NoExecute")


def requirement(operator: str, *values: str, key: str = "size") -> core.NodeSelectorRequirement:
    return core.NodeSelectorRequirement(key=key, operator=operator, values=list(values))


def spec(*terms: core.NodeSelectorTerm, **selector: str) -> core.PodSpec:
    required = core.NodeSelector(node_selector_terms=list(terms)) if terms else None
    affinity = core.NodeAffinity(required_during_scheduling_ignored_during_execution=required)
    return core.PodSpec(affinity=core.Affinity(node_affinity=affinity), node_selector=selector)


@pytest.mark.parametrize(
    ("operator", "values", "expected"),
    [
        ("In", ("5", "6"), True),
        ("NotIn", ("5",), False),
        ("Exists", (), True),
        ("DoesNotExist", (), False),
        ("Gt", ("4",), True),
        ("Lt", ("4",), False),
        ("Gt", ("x",), False),
        ("Gt", (), False),
        ("Unknown", ("5",), False),
    ],
)
def test_operators(operator: str, values: tuple[str, ...], expected: bool) -> None:
    term = core.NodeSelectorTerm(match_expressions=[requirement(operator, *values)])
    assert fits_affinity(spec(term), "n", {"size": "5"}) is expected


def test_terms_and_the_selector() -> None:
    big = core.NodeSelectorTerm(match_expressions=[requirement("Exists", key="big")])
    named = core.NodeSelectorTerm(match_fields=[requirement("In", "n", key="metadata.name")])
    assert fits_affinity(core.PodSpec(), "n", {})
    assert fits_affinity(spec(big, named), "n", {}) and not fits_affinity(spec(big, named), "m", {})
    assert not fits_affinity(spec(core.NodeSelectorTerm()), "n", {}), "an empty term matches nothing"
    assert fits_affinity(spec(named, disk="ssd"), "n", {"disk": "ssd"})
    assert not fits_affinity(spec(named, disk="ssd"), "n", {"disk": "hdd"})


@pytest.mark.parametrize(
    ("toleration", "expected"),
    [
        (core.Toleration(operator="Exists"), True),
        (core.Toleration(key="k"), True),
        (core.Toleration(key="k", value="x"), False),
        (core.Toleration(key="k", operator="Equal", effect="NoExecute"), True),
        (core.Toleration(key="k", operator="Exists", effect="NoSchedule"), False),
        (core.Toleration(key="l", operator="Exists"), False),
        (core.Toleration(key="k", operator="Unknown"), False),
    ],
)
def test_tolerations(toleration: core.Toleration, expected: bool) -> None:
    assert tolerates(toleration, TAINT) is expected


def test_the_first_taint_that_counts() -> None:
    soft, hard = core.Taint(key="a", effect="PreferNoSchedule"), core.Taint(key="b", effect="NoSchedule")
    assert untolerated([], [soft, hard, TAINT]) is hard
    assert untolerated([], [soft, hard, TAINT], ("NoExecute",)) is TAINT
    assert untolerated([core.Toleration(operator="Exists")], [soft, hard, TAINT]) is None
