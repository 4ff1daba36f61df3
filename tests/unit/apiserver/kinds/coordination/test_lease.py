"""Lease."""

from typing import Any

import pytest

from pybernetes.apiserver.kinds.coordination import lease

from ..tables import fields


@pytest.mark.parametrize(
    ("spec", "refused"),
    [
        ({}, []),
        (
            {"leaseDurationSeconds": 0, "leaseTransitions": -1},
            ["spec.leaseDurationSeconds Invalid", "spec.leaseTransitions Invalid"],
        ),
        ({"strategy": "Odd"}, ["spec.strategy NotSupported"]),
        ({"strategy": "a.b/c", "preferredHolder": "x"}, []),
        ({"preferredHolder": "x"}, ["spec.preferredHolder Forbidden"]),
    ],
)
def test_refused(spec: Any, refused: list[str]) -> None:
    assert fields(lease.validate({"metadata": {"name": "a"}, "spec": spec})) == refused
