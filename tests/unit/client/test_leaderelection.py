"""Who takes the lease."""

import pytest

from pybernetes.api.types import coordination_v1
from pybernetes.client.leaderelection import Observed, decide


def lease(holder: str | None, renewed: str = "t1") -> coordination_v1.Lease:
    return coordination_v1.Lease(spec=coordination_v1.LeaseSpec(holder_identity=holder, renew_time=renewed))


@pytest.mark.parametrize(
    ("held", "observed", "expected"),
    [
        (None, Observed(), "create"),
        (lease("me"), Observed(("me", "t1"), 0), "renew"),
        (lease("other"), Observed(), "wait"),  # first seen now: its age is not known
        (lease("other"), Observed(("other", "t1"), 90), "wait"),
        (lease("other"), Observed(("other", "t1"), 85), "acquire"),
        (lease("other", "t2"), Observed(("other", "t1"), 10), "wait"),  # it was renewed
        (lease(""), Observed(), "acquire"),  # it was released
    ],
)
def test_decide(held: coordination_v1.Lease | None, observed: Observed, expected: str) -> None:
    assert decide(held, observed, "me", 15, 100) == expected
