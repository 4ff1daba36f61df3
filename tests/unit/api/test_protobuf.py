"""The protobuf form of an object reads as its JSON form."""

import json
from pathlib import Path

import pytest

from pybernetes.api import protobuf, types

from .test_types import differences

# What only servers write: discovery, and the storage versions of an API server.
NEVER_SENT = ("core.v1.APIGroup.pb", "core.v1.APIVersions.pb", "internal.apiserver.k8s.io.v1alpha1.StorageVersion.pb")
# A zero time is null in JSON, and the epoch of year 1 on the wire.
ZERO_TIMES = {".status.disruptedPods.disruptedPodsKey"}

WIRE = Path(__file__).parents[2] / "wire"


def known(path: Path) -> bool:
    head = json.loads(path.with_suffix(".json").read_bytes())
    return (head.get("apiVersion"), head.get("kind")) in types.KINDS and path.name not in NEVER_SENT


FIXTURES = [path for path in sorted(WIRE.glob("*.pb")) if known(path)]


@pytest.mark.parametrize("path", FIXTURES, ids=lambda path: path.name)
def test_same_as_json(path: Path) -> None:
    want = json.loads(path.with_suffix(".json").read_bytes())
    assert differences(want, protobuf.decode(path.read_bytes())) - ZERO_TIMES == set()


@pytest.mark.parametrize("data", [b"", b"{}", b"k8s\x00\x0a", b"k8s\x00\x0a\xff", b"k8s\x00\x0a\x06\x0a\x04none"])
def test_garbage_is_refused(data: bytes) -> None:
    with pytest.raises(protobuf.ProtobufError):
        protobuf.decode(data)


def test_every_truncation_is_refused_or_read() -> None:
    data = (WIRE / "core.v1.Pod.pb").read_bytes()
    for size in range(0, len(data), 7):
        try:
            protobuf.decode(data[:size])
        except ValueError:
            continue
