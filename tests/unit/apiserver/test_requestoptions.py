"""Which command lines say how many requests run at a time, and which cannot."""

from __future__ import annotations

import pytest

from pybernetes.apiserver.filters.maxinflight import Limits
from pybernetes.apiserver.options import FLAGS, requests
from pybernetes.component import flags
from pybernetes.component.command import UsageError


@pytest.mark.parametrize(
    ("arguments", "fair", "limits"),
    [
        ([], True, Limits(400, 200)),
        (["--max-requests-inflight=0"], True, Limits(0, 200)),
        (["--enable-priority-and-fairness=false", "--max-requests-inflight=7"], False, Limits(7, 200)),
        (
            ["--enable-priority-and-fairness=false", "--max-requests-inflight=0", "--max-mutating-requests-inflight=0"],
            False,
            Limits(0, 0),
        ),
    ],
)
def test_what_is_chosen(arguments: list[str], fair: bool, limits: Limits) -> None:
    chosen = requests.options(flags.parse("kube-apiserver", FLAGS, arguments))
    assert (chosen["priority_and_fairness"], chosen["limits"]) == (fair, limits)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--max-requests-inflight=0", "--max-mutating-requests-inflight=0"], "they must add up to something positive"),
        (["--max-requests-inflight=-1"], "--max-requests-inflight can not be negative value"),
    ],
)
def test_what_cannot_be(arguments: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        requests.options(flags.parse("kube-apiserver", FLAGS, arguments))
