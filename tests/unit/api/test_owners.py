"""Who manages an object."""

from __future__ import annotations

from pybernetes.api.owners import controlled_by, controller_of, controller_ref
from pybernetes.api.types import apps_v1 as apps
from pybernetes.api.types import core_v1 as core
from pybernetes.api.types import meta_v1 as meta

SET = apps.ReplicaSet(metadata=meta.ObjectMeta(name="rs", uid="1"))


def pod(*owners: meta.OwnerReference) -> core.Pod:
    return core.Pod(metadata=meta.ObjectMeta(name="p", owner_references=list(owners)))


def test_a_controller_is_one_owner_of_several() -> None:
    ref, other = controller_ref(SET), meta.OwnerReference(kind="Job", name="j", uid="2")
    assert (ref.api_version, ref.kind, ref.name, ref.uid) == ("apps/v1", "ReplicaSet", "rs", "1")
    assert ref.controller and ref.block_owner_deletion
    assert controller_of(pod(other, ref)) == ref
    assert controlled_by(pod(other, ref), SET)


def test_who_is_only_an_owner_does_not_control() -> None:
    owned = pod(meta.OwnerReference(kind="ReplicaSet", name="rs", uid="1"))
    assert controller_of(owned) is None and not controlled_by(owned, SET)


def test_one_of_the_same_name_that_came_later_does_not_control() -> None:
    later = apps.ReplicaSet(metadata=meta.ObjectMeta(name="rs", uid="9"))
    assert not controlled_by(pod(controller_ref(SET)), later)
