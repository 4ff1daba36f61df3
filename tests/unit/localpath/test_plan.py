"""Which claims and volumes are a node's business, and what becomes of directories."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from pybernetes.api import types
from pybernetes.api.quantity import Quantity
from pybernetes.api.types import core_v1 as core
from pybernetes.api.types import storage_v1 as storage
from pybernetes.component import flags
from pybernetes.component.command import UsageError
from pybernetes.localpath import options, plan
from pybernetes.localpath.directories import Directories
from pybernetes.localpath.plan import FINALIZER, PROVISIONER, Place, Refused

HERE = Place("n1", "host-1", "/volumes")
CLASS = storage.StorageClass(
    volume_binding_mode="WaitForFirstConsumer", reclaim_policy="Delete", mount_options=["noatime"]
)
ASKED = {"volume.kubernetes.io/storage-provisioner": PROVISIONER, "volume.kubernetes.io/selected-node": "n1"}


def claim(annotations: dict[str, str] | None = None, **spec: Any) -> core.PersistentVolumeClaim:
    meta = {"name": "data", "namespace": "s", "uid": "u1", "annotations": ASKED if annotations is None else annotations}
    size = {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": "1Gi"}},
        "storageClassName": "local-path",
    }
    return types.from_json({"metadata": meta, "spec": {**size, **spec}}, core.PersistentVolumeClaim)


def made(phase: str = "Released", policy: str = "Delete", **meta: Any) -> core.PersistentVolume:
    volume = plan.volume(claim(), CLASS, HERE)
    volume.status.phase, volume.spec.persistent_volume_reclaim_policy = phase, policy
    for name, value in meta.items():
        setattr(volume.metadata, name, value)
    return volume


@pytest.mark.parametrize(
    ("one", "ours"),
    [
        (claim(), True),
        (claim({"volume.beta.kubernetes.io/storage-provisioner": PROVISIONER}), True),
        (claim({"volume.kubernetes.io/storage-provisioner": "other"}), False),
        (claim({}), False),
        (claim(volumeName="pv"), False),
    ],
)
def test_whose_claim_it_is(one: core.PersistentVolumeClaim, ours: bool) -> None:
    assert plan.ours(one) == ours


def grows(has: str = "1Gi", asks: str = "2Gi", phase: str = "Bound", **meta: Any) -> core.PersistentVolumeClaim:
    one = claim(volumeName="pvc-u1", resources={"requests": {"storage": asks}})
    one.status.phase, one.status.capacity = phase, {"storage": Quantity.parse(has)} if has else {}
    for name, value in meta.items():
        setattr(one.metadata, name, value)
    return one


@pytest.mark.parametrize(
    ("one", "place", "size"),
    [
        (grows(), HERE, "2Gi"),
        (grows(has=""), HERE, "2Gi"),
        (grows(has="2Gi"), HERE, None),
        (grows(has="2048Mi"), HERE, None),
        (grows(has="3Gi"), HERE, None),
        (grows(phase="Lost"), HERE, None),
        (grows(uid="u2"), HERE, None),  # the volume is another claim's
        (grows(deletion_timestamp=datetime(2020, 1, 1, tzinfo=UTC)), HERE, None),
        (grows(), Place("n2", "host-2", "/volumes"), None),
    ],
)
def test_what_grows_here(one: core.PersistentVolumeClaim, place: Place, size: str | None) -> None:
    volume = made("Bound")
    got = plan.grown(one, volume, place)
    assert (None if got is None else str(got)) == size
    assert plan.grown(one, None, place) is None


def test_a_size_that_grew_leaves_no_condition_of_resizing() -> None:
    one = grows()
    one.metadata.resource_version = "7"
    one.status.conditions = [
        core.PersistentVolumeClaimCondition(type=kind, status="True") for kind in ("Resizing", "ModifyingVolume")
    ]
    patch = plan.resized(one, Quantity.parse("2Gi"))
    assert patch["metadata"] == {"resourceVersion": "7"}
    assert patch["status"]["capacity"] == patch["status"]["allocatedResources"] == {"storage": "2Gi"}
    assert [condition.type for condition in patch["status"]["conditions"]] == ["ModifyingVolume"]


def test_a_volume() -> None:
    volume = plan.volume(claim(), CLASS, HERE)
    assert volume.metadata.name == "pvc-u1" and volume.metadata.finalizers == [FINALIZER]
    assert volume.spec.host_path == core.HostPathVolumeSource(path="/volumes/pvc-u1_s_data", type="DirectoryOrCreate")
    assert volume.spec.mount_options == ["noatime"] and str(volume.spec.capacity["storage"]) == "1Gi"
    assert volume.spec.claim_ref is not None and volume.spec.claim_ref.uid == "u1"
    assert plan.of_place(volume, HERE) and not plan.of_place(volume, Place("n2", "host-2", "/volumes"))


def test_a_directorys_name_is_never_too_long() -> None:
    long = claim()
    long.metadata.name, long.metadata.uid = "x" * 253, "u" * 36
    assert len(plan.directory_name(long)) == 255 and plan.directory_name(long).startswith("pvc-" + "u" * 36 + "_s_x")


@pytest.mark.parametrize(
    ("spec", "annotations", "why"),
    [
        ({"accessModes": ["ReadWriteMany"]}, ASKED, "only supports ReadWriteOnce"),
        ({"accessModes": ["ReadWriteOnce", "ReadOnlyMany"]}, ASKED, "only supports ReadWriteOnce"),
        ({"selector": {"matchLabels": {"a": "b"}}}, ASKED, "claim.Spec.Selector is not supported"),
        ({"volumeMode": "Block"}, ASKED, "Block volume mode"),
        ({}, {}, "no node was specified"),
    ],
)
def test_refusals(spec: dict[str, Any], annotations: dict[str, str], why: str) -> None:
    with pytest.raises(Refused, match=why):
        plan.volume(claim(annotations, **spec), CLASS, HERE)


def node(name: str, ready: str = "True") -> core.Node:
    status = {"conditions": [{"type": "Ready", "status": ready}]}
    return types.from_json({"metadata": {"name": name}, "status": status}, core.Node)


def test_one_node_speaks_for_all() -> None:
    at_once = storage.StorageClass(volume_binding_mode="Immediate")
    nodes = [node("n2"), node("n1"), node("n0", "Unknown")]
    assert [plan.speaks_for(at_once, nodes, name) for name in ("n0", "n1", "n2")] == [False, True, False]
    assert not plan.speaks_for(CLASS, nodes, "n1")


NOW = datetime(2030, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("volume", "removed", "let_go"),
    [
        (made(), True, False),
        (made("Failed"), True, False),
        (made("Bound"), False, False),
        (made("Available"), False, False),
        (made(policy="Retain"), False, False),
        (made(policy="Retain", deletion_timestamp=NOW), False, True),
        (made(deletion_timestamp=NOW), True, False),
        (made(deletion_timestamp=NOW, finalizers=["another"]), False, False),
        (made("Bound", deletion_timestamp=NOW), False, False),
        (made(annotations={}), False, False),
    ],
)
def test_what_becomes_of_a_volume(volume: core.PersistentVolume, removed: bool, let_go: bool) -> None:
    assert (plan.to_remove(volume, HERE), plan.to_let_go(volume, HERE)) == (removed, let_go)


@pytest.mark.parametrize(
    "path", ["/etc", "/volumes", "/volumes/other_s_data", "/volumes/pvc-u1_s/../x", "/volumes/a/pvc-u1_s", ""]
)
def test_no_other_path_is_removed(path: str) -> None:
    volume = made()
    assert volume.spec.host_path is not None
    assert plan.directory_of(volume, HERE) == "pvc-u1_s_data"
    volume.spec.host_path.path = path
    with pytest.raises(Refused, match="remove it by hand"):
        plan.directory_of(volume, HERE)


def test_leftovers() -> None:
    names = ["pvc-u1_s_data", "pvc-u2_s_b", "pvc-u3_s_c", "lost+found"]
    assert plan.leftovers(names, ["pvc-u2"], [claim()]) == ["pvc-u3_s_c"]


def test_a_directory_goes_with_all_that_is_in_it_and_nothing_else(tmp_path: Path) -> None:
    outside, root = tmp_path / "outside", tmp_path / "root"
    outside.mkdir()
    (outside / "file").write_text("stays")
    directories = Directories(str(root))
    directories.make("v")
    directories.make("v")  # again is no error
    place = root / "v"
    assert place.stat().st_mode & 0o777 == 0o777
    (place / "link").symlink_to(outside, target_is_directory=True)
    (place / ".removed-1").mkdir()
    (place / ".removed-2").write_text("in the way")
    os.mkfifo(place / "pipe")
    for number in range(3):
        (place / f"d{number}" / "e" / "f").mkdir(parents=True)
        (place / f"d{number}" / "e" / "link").symlink_to(outside)
    current = os.open(place, os.O_RDONLY)
    for _ in range(1500):  # deeper than Python would call itself, and than a path may be long
        os.mkdir("deep", dir_fd=current)
        inner = os.open("deep", os.O_RDONLY, dir_fd=current)
        os.close(current)
        current = inner
    os.close(current)
    directories.remove("v")
    assert directories.names() == [] and (outside / "file").read_text() == "stays"
    directories.remove("v")  # gone already
    (root / "pvc-link").symlink_to(outside)
    with pytest.raises(OSError):
        directories.remove("pvc-link")
    with pytest.raises(OSError):
        directories.make("pvc-link")
    assert (outside / "file").exists()


@pytest.mark.parametrize("path", ["relative", "/", "//", "/a/../b", ""])
def test_a_root_that_is_none(path: str) -> None:
    with pytest.raises(UsageError, match="--root"):
        options.root(flags.parse("p", options.FLAGS, [f"--root={path}"]))
