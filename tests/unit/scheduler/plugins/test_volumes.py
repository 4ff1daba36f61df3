"""VolumeBinding, VolumeZone, VolumeRestrictions, NodeVolumeLimits."""

from __future__ import annotations

from typing import Any

import pytest

from pybernetes.api.types import core_v1 as core
from pybernetes.api.types import storage_v1 as storage
from pybernetes.scheduler.profiles.config import ProfileOptions

from ..make import World, node, pod, typed

ZONE = "topology.kubernetes.io/zone"


def claim(
    name: str = "c", volume: str = "", cls: str = "fast", size: str = "1Gi", **more: Any
) -> core.PersistentVolumeClaim:
    bound = {"pv.kubernetes.io/bind-completed": "yes"} if volume else {}
    return typed(
        core.PersistentVolumeClaim,
        metadata={
            "name": name,
            "namespace": "default",
            "uid": f"c-{name}",
            "annotations": {**bound, **more.pop("annotations", {})},
        },
        spec={
            "storageClassName": cls,
            "volumeName": volume,
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": size}},
            **more,
        },
        status={"phase": "Bound" if volume else "Pending"},
    )


def volume(
    name: str, on: str = "", size: str = "1Gi", cls: str = "fast", labels: dict[str, str] | None = None, **spec: Any
) -> core.PersistentVolume:
    if on:
        term = {"matchExpressions": [{"key": "kubernetes.io/hostname", "operator": "In", "values": [on]}]}
        spec["nodeAffinity"] = {"required": {"nodeSelectorTerms": [term]}}
    return typed(
        core.PersistentVolume,
        metadata={"name": name, "labels": labels or {}},
        spec={"capacity": {"storage": size}, "storageClassName": cls, "accessModes": ["ReadWriteOnce"], **spec},
        status={"phase": "Available"},
    )


def waiting(
    provisioner: str = "kubernetes.io/no-provisioner", mode: str = "WaitForFirstConsumer", **more: Any
) -> storage.StorageClass:
    return typed(
        storage.StorageClass, metadata={"name": "fast"}, provisioner=provisioner, volumeBindingMode=mode, **more
    )


def using(*claims: str, name: str = "p", **spec: Any) -> core.Pod:
    volumes = [{"name": c, "persistentVolumeClaim": {"claimName": c}} for c in claims]
    return pod(name, volumes=volumes, **spec)


def world(*objects: Any) -> World:
    found = World([node("a", labels={ZONE: "z1"}), node("b", labels={ZONE: "z2"})])
    kinds = {
        core.PersistentVolumeClaim: "claims",
        core.PersistentVolume: "volumes",
        storage.StorageClass: "storage_classes",
        storage.CSINode: "csi_nodes",
    }
    for obj in objects:
        found.know(kinds[type(obj)], obj)
    return found


REFUSED = "0/2 nodes are available:"


@pytest.mark.parametrize(
    ("objects", "answer"),
    [
        ([], f'{REFUSED} persistentvolumeclaim "c" not found.'),
        ([claim(), waiting(mode="Immediate")], f"{REFUSED} pod has unbound immediate PersistentVolumeClaims."),
        ([claim(cls="none")], f"{REFUSED} pod has unbound immediate PersistentVolumeClaims."),
        ([claim(volume="v"), volume("v", on="b")], "b"),
        ([claim(volume="v")], f'{REFUSED} persistentvolume "v" not found.'),
        ([claim(volume="v"), volume("v", on="x")], f"{REFUSED} 2 node(s) didn't match PersistentVolume's node affinity."),
        ([claim(volume="v"), volume("v", labels={ZONE: "z2"})], "b"),
        ([claim(volume="v"), volume("v", labels={ZONE: "z1__z3"})], "a"),
        ([claim(volume="v"), volume("v", labels={ZONE: "z3"})], f"{REFUSED} 2 node(s) had no available volume zone."),
        # Claims that wait for their first consumer.
        ([claim(), waiting(), volume("v", on="b")], "b"),
        ([claim(), waiting(), volume("v", on="b", size="500Mi")], f"{REFUSED} 2 node(s) didn't find available persistent volumes to bind."),
        ([claim(), waiting(), volume("v", on="b", cls="slow")], f"{REFUSED} 2 node(s) didn't find available persistent volumes to bind."),
        ([claim(), waiting("csi.example.org")], "a"),
        (
            [claim(), waiting("csi.example.org", allowedTopologies=[{"matchLabelExpressions": [{"key": ZONE, "values": ["z2"]}]}])],
            "b",
        ),
        ([claim(annotations={"volume.kubernetes.io/selected-node": "b"}), waiting("csi.example.org")], "b"),
    ],
)  # fmt: skip
def test_one_claim(objects: list[Any], answer: str) -> None:
    assert world(*objects).place(using("c")) == answer


def test_a_bound_claim_whose_volume_is_missing() -> None:
    options = ProfileOptions(plugins={"filter": {"disabled": [{"name": "VolumeZone"}]}})
    found = World([node("a")], profile=options)
    found.know("claims", claim(volume="v"))
    reason = "node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s)"
    assert found.place(using("c")) == f"0/1 nodes are available: 1 {reason}."


def test_each_claim_gets_a_volume_of_its_own() -> None:
    objects = [claim("c"), claim("d"), waiting(), volume("v", on="a"), volume("w", on="b"), volume("x", on="b")]
    assert world(*objects).place(using("c", "d")) == "b"
    refused = "0/2 nodes are available: 2 node(s) didn't find available persistent volumes to bind."
    assert world(*objects[:-1]).place(using("c", "d")) == refused


def test_what_is_written_before_the_pod_is_bound() -> None:
    found = world(
        claim("c"),
        claim("d", size="9Gi"),
        waiting("csi.example.org"),
        volume("big", on="b", size="5Gi"),
        volume("small", on="b"),
    )
    plugin = found.built.plugins["VolumeBinding"]
    info = found.shapes.info(using("c", "d"))
    bound, marked = (update.obj for update in plugin.reserve(info, "b"))
    assert (bound.metadata.name, bound.spec.claim_ref.name, bound.spec.claim_ref.uid) == ("small", "c", "c-c")
    assert bound.metadata.annotations == {"pv.kubernetes.io/bound-by-controller": "yes"}
    assert (marked.metadata.name, marked.metadata.annotations) == ("d", {"volume.kubernetes.io/selected-node": "b"})
    assert plugin.waits(info)
    # The next pod does not get the same volume, until the first gives it back.
    other = using("c", name="other")
    assert [u.obj.metadata.name for u in plugin.reserve(found.shapes.info(other), "b")] == ["big"]
    plugin.release(info)
    found.know("claims", claim("c", volume="small"))
    found.know("claims", claim("d", volume="made"))
    assert not plugin.waits(info)


def test_a_claim_for_one_pod_alone() -> None:
    found = world(claim(volume="v", accessModes=["ReadWriteOncePod"]), volume("v"))
    assert found.place(using("c")) == "a"
    found.add(using("c", name="first", node="a"))
    reason = "node has pod using PersistentVolumeClaim with the same name and ReadWriteOncePod access mode"
    assert found.place(using("c")) == f"0/2 nodes are available: 2 {reason}."
    found.table.remove_pod("default/first")
    assert found.place(using("c")) == "a"


@pytest.mark.parametrize(("read_only", "fits"), [(False, ["b"]), (True, ["a", "b"])])
def test_a_disk_that_one_node_writes(read_only: bool, fits: list[str]) -> None:
    disk = [{"name": "d", "gcePersistentDisk": {"pdName": "x", "readOnly": read_only}}]
    found = world()
    found.add(pod("o", volumes=disk, node="a"))
    assert found.feasible(pod(volumes=disk)) == fits
    found.table.remove_node("b")
    if not read_only:
        assert found.place(pod(volumes=disk)) == "0/1 nodes are available: 1 node(s) had no available disk."


def test_limits_of_a_driver() -> None:
    csi = {"csi": {"driver": "csi.example.org", "volumeHandle": ""}}
    volumes = [volume(n, **{"csi": {**csi["csi"], "volumeHandle": n}}) for n in "vw"]
    limits = [
        typed(
            storage.CSINode,
            metadata={"name": n},
            spec={
                "drivers": [{"name": "csi.example.org", "nodeID": n, "topologyKeys": [], "allocatable": {"count": 1}}]
            },
        )
        for n in "ab"
    ]
    found = world(claim("c", volume="v"), claim("d", volume="w"), *volumes, *limits)
    found.add(using("c", name="o", node="a"))
    assert found.place(using("d")) == "b"
    assert found.feasible(using("c")) == ["a", "b"]  # it is there already
    found.add(using("c", name="o2", node="b"))
    assert found.place(using("d")) == "0/2 nodes are available: 2 node(s) exceed max volume count."
