"""Which claim gets which volume, and what becomes of either without the other."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from pybernetes.api import types
from pybernetes.api.storageclasses import storage_class
from pybernetes.api.types import core_v1 as core
from pybernetes.api.types import meta_v1 as meta
from pybernetes.api.types import storage_v1 as storage
from pybernetes.api.wellknown import (
    ANN_BIND_COMPLETED,
    ANN_BOUND_BY_CONTROLLER,
    ANN_DYNAMICALLY_PROVISIONED,
    BETA_STORAGE_CLASS_ANNOTATION,
)
from pybernetes.controllers.indexers import claims_of
from pybernetes.controllers.volume.persistentvolume.plan import (
    Bind,
    Lost,
    Pending,
    VolumeAction,
    Wrong,
    best_match,
    default_class,
    delays,
    is_bound_to,
    match_keys,
    plan_bound,
    plan_named,
    plan_volume,
    reclaim,
    waiting_event,
)
from pybernetes.controllers.volume.protection.controller import uses
from pybernetes.controllers.volume.protection.plan import classes_of, finalizers_with

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def volume(
    name: str = "v", size: str = "1Gi", modes: tuple[str, ...] = ("ReadWriteOnce",), **spec: Any
) -> core.PersistentVolume:
    body = {"metadata": {"name": name}, "spec": {"capacity": {"storage": size}, "accessModes": list(modes), **spec}}
    return types.decode(json.dumps(body), core.PersistentVolume)


def claim(size: str = "1Gi", modes: tuple[str, ...] = ("ReadWriteOnce",), **spec: Any) -> core.PersistentVolumeClaim:
    full = {"resources": {"requests": {"storage": size}}, "accessModes": list(modes), **spec}
    body = {"metadata": {"name": "c", "namespace": "ns", "uid": "u"}, "spec": full}
    return types.decode(json.dumps(body), core.PersistentVolumeClaim)


def for_claim(uid: str = "u", name: str = "c") -> dict[str, Any]:
    return {"claimRef": {"namespace": "ns", "name": name, "uid": uid}}


def chosen(given: core.PersistentVolumeClaim, *volumes: core.PersistentVolume, delayed: bool = False) -> str:
    found = best_match(given, volumes, delayed)
    return found.metadata.name if found is not None else ""


def test_the_smallest_that_will_do() -> None:
    assert chosen(claim("2Gi"), volume("a", "1Gi"), volume("b", "9Gi"), volume("c", "3Gi")) == "c"
    assert chosen(claim("2Gi"), volume("a", "1Gi")) == ""


def test_fewer_access_modes_go_before_a_better_size() -> None:
    both = ("ReadWriteOnce", "ReadOnlyMany")
    assert chosen(claim(), volume("two", "1Gi", both), volume("one", "9Gi")) == "one"
    assert chosen(claim(modes=("ReadOnlyMany",)), volume("two", "1Gi", both), volume("one", "9Gi")) == "two"


@pytest.mark.parametrize(
    "unfit",
    [
        volume(storageClassName="gold"),
        volume(volumeMode="Block"),
        volume(**for_claim("other", "other")),
        volume(volumeAttributesClassName="fast"),
    ],
)
def test_what_does_not_fit(unfit: core.PersistentVolume) -> None:
    assert chosen(claim(), unfit) == ""


def test_a_selector_and_a_deletion_count() -> None:
    given, labelled = claim(selector={"matchLabels": {"k": "v"}}), volume()
    assert chosen(given, labelled) == ""
    labelled.metadata.labels = {"k": "v"}
    assert chosen(given, labelled) == "v"
    labelled.metadata.deletion_timestamp = NOW
    assert chosen(given, labelled) == ""


def test_a_volume_made_for_the_claim_goes_first_whatever_its_class() -> None:
    made = volume("made", "9Gi", storageClassName="gold", **for_claim(""))
    assert chosen(claim(), volume("small"), made) == "made"
    assert chosen(claim(), made, delayed=True) == "made"
    assert chosen(claim("10Gi"), made) == ""
    assert chosen(claim(), volume("small"), delayed=True) == ""


def test_is_bound_to() -> None:
    assert is_bound_to(volume(**for_claim()), claim()) and is_bound_to(volume(**for_claim("")), claim())
    assert not is_bound_to(volume(), claim()) and not is_bound_to(volume(**for_claim("other")), claim())


def test_classes() -> None:
    given = claim(storageClassName="a")
    given.metadata.annotations[BETA_STORAGE_CLASS_ANNOTATION] = "b"
    assert storage_class(given) == "b"

    def made(name: str, **fields: Any) -> storage.StorageClass:
        return types.decode(json.dumps({"metadata": {"name": name, **fields}}), storage.StorageClass)

    marked = {"annotations": {"storageclass.kubernetes.io/is-default-class": "true"}}
    old, new = ({"creationTimestamp": f"202{year}-01-01T00:00:00Z", **marked} for year in (4, 5))
    assert default_class([made("x"), made("old", **old), made("new", **new)]) == "new"
    assert default_class([made("x")]) == ""
    late = storage.StorageClass(metadata=meta.ObjectMeta(name="b"), volume_binding_mode="WaitForFirstConsumer")
    assert delays(given, {"b": late}) and not delays(claim(), {"b": late})


def test_a_claim_that_names_its_volume() -> None:
    free, mine, others = volume(), volume(**for_claim("")), volume(**for_claim("x", "other"))
    assert plan_named(claim(), None) == Pending()
    assert plan_named(claim(), free) == Bind(free)
    assert plan_named(claim(), mine) == Bind(mine)
    taken = plan_named(claim(), others)
    assert isinstance(taken, Pending) and taken.event is not None
    assert (taken.event.reason, taken.event.message) == (
        "FailedBinding",
        'volume "v" already bound to a different claim.',
    )
    ours = claim()
    ours.metadata.annotations[ANN_BOUND_BY_CONTROLLER] = "yes"
    wrong = plan_named(ours, others)
    assert wrong == Wrong('invalid binding of claim "ns/c" to volume "v": volume already claimed by "ns/other"')


@pytest.mark.parametrize(
    ("given", "why"),
    [
        (claim("2Gi"), "requested PV is too small"),
        (claim(storageClassName="gold"), "storageClassName does not match"),
        (claim(volumeMode="Block"), "incompatible volumeMode"),
        (claim(modes=("ReadWriteMany",)), "incompatible accessMode"),
    ],
)
def test_a_named_volume_that_does_not_fit(given: core.PersistentVolumeClaim, why: str) -> None:
    action = plan_named(given, volume())
    assert isinstance(action, Pending) and action.event is not None
    assert action.event.message == f'Cannot bind to requested volume "v": {why}'


def test_a_claim_that_was_bound() -> None:
    given = claim(volumeName="v")
    given.metadata.annotations[ANN_BIND_COMPLETED] = "yes"
    free, mine = volume(), volume(**for_claim())
    assert plan_bound(given, free) == Bind(free) and plan_bound(given, mine) == Bind(mine)
    for other, nobody in ((None, "ClaimLost"), (volume(**for_claim("x")), "ClaimMisbound")):
        action = plan_bound(given, other)
        assert isinstance(action, Lost) and action.event.reason == nobody
    action = plan_bound(claim(), None)
    assert isinstance(action, Lost) and "lost reference" in action.event.message


def test_waiting() -> None:
    assert waiting_event([]).reason == "WaitForFirstConsumer"
    assert waiting_event(["a"]).message == "waiting for pod a to be scheduled"
    assert waiting_event(["a", "b"]).message == "waiting for pods a,b to be scheduled"


def test_volumes() -> None:
    bound = volume(**for_claim())
    assert plan_volume(volume(), None) is VolumeAction.AVAILABLE
    assert plan_volume(volume(**for_claim("")), None) is VolumeAction.AVAILABLE
    assert plan_volume(bound, None) is VolumeAction.RECLAIM
    assert plan_volume(bound, claim()) is VolumeAction.CLAIM
    assert plan_volume(bound, claim(volumeMode="Block")) is VolumeAction.MISMATCH
    assert plan_volume(bound, claim(volumeName="v")) is VolumeAction.BOUND
    assert plan_volume(bound, claim(volumeName="w")) is VolumeAction.UNBIND
    made = volume(persistentVolumeReclaimPolicy="Delete", **for_claim())
    made.metadata.annotations[ANN_DYNAMICALLY_PROVISIONED] = "x"
    assert plan_volume(made, claim(volumeName="w")) is VolumeAction.RECLAIM


def test_reclaim() -> None:
    assert reclaim(volume(persistentVolumeReclaimPolicy="Retain")) is None
    outside = volume(persistentVolumeReclaimPolicy="Delete")
    event = reclaim(outside)
    assert event is not None and event.reason == "VolumeFailedDelete" and '"v"' in event.message
    outside.metadata.annotations[ANN_DYNAMICALLY_PROVISIONED] = "example.com/p"
    assert reclaim(outside) is None
    for policy, reason in (("Recycle", "VolumeFailedRecycle"), ("?", "VolumeUnknownReclaimPolicy")):
        event = reclaim(volume(persistentVolumeReclaimPolicy=policy))
        assert event is not None and event.reason == reason


def test_indexes() -> None:
    assert match_keys(volume(storageClassName="gold")) == ["class/gold"]
    assert match_keys(volume(**for_claim())) == ["claim/ns/c"]


def pod(node: str = "n") -> core.Pod:
    volumes = [
        {"name": "a", "persistentVolumeClaim": {"claimName": "c"}},
        {"name": "b", "ephemeral": {"volumeClaimTemplate": {"spec": {"accessModes": []}}}},
        {"name": "c", "emptyDir": {}},
    ]
    body = {
        "metadata": {"name": "p", "namespace": "ns"},
        "spec": {"nodeName": node, "containers": [], "volumes": volumes},
    }
    return types.decode(json.dumps(body), core.Pod)


def test_pods_use_claims_once_they_have_a_node() -> None:
    assert claims_of(pod()) == ["ns/c", "ns/p-b"]
    assert uses(pod(), ("ns", "c")) and not uses(pod(""), ("ns", "c")) and not uses(pod(), ("ns", "d"))


def test_protection() -> None:
    given = claim()
    assert finalizers_with(given, "f", used=False) == ["f"]
    given.metadata.finalizers = ["f", "g"]
    assert finalizers_with(given, "f", used=False) is None
    given.metadata.deletion_timestamp = NOW
    assert finalizers_with(given, "f", used=True) is None
    assert finalizers_with(given, "f", used=False) == ["g"]
    assert finalizers_with(given, "h", used=False) is None


def test_classes_that_are_named_or_had() -> None:
    given = claim(volumeAttributesClassName="new")
    given.status.current_volume_attributes_class_name = "old"
    given.status.modify_volume_status = core.ModifyVolumeStatus(target_volume_attributes_class_name="newer")
    assert classes_of(given) == ["new", "newer", "old"]
    assert classes_of(volume(volumeAttributesClassName="x")) == ["x"] and classes_of(volume()) == []
