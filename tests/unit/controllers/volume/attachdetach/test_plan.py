"""What is attached where, and what is taken away."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from pybernetes.api import types
from pybernetes.api.types import core_v1 as core
from pybernetes.api.types import meta_v1 as meta
from pybernetes.api.types import storage_v1 as storage
from pybernetes.api.wellknown import CONTROLLER_MANAGED_ATTACH_ANNOTATION, TAINT_NODE_OUT_OF_SERVICE
from pybernetes.controllers.volume.attachdetach.plan import (
    Attach,
    Detach,
    MultiAttach,
    Need,
    Volume,
    Wait,
    attachable,
    attached_of,
    means,
    needs_volumes,
    plan,
)
from pybernetes.controllers.volume.ephemeral.plan import ephemeral_claims

NOW = datetime(2026, 1, 1, tzinfo=UTC)
UPTIME = 7000.0
ONE = Volume("pv", "d", "h", exclusive=True)
MANY = Volume("pv", "d", "h", exclusive=False)


def attachment(node: str, attached: bool = True, deleting: bool = False) -> storage.VolumeAttachment:
    return storage.VolumeAttachment(
        metadata=meta.ObjectMeta(name=ONE.attachment_name(node), deletion_timestamp=NOW if deleting else None),
        spec=storage.VolumeAttachmentSpec(attacher="d", node_name=node),
        status=storage.VolumeAttachmentStatus(attached=attached),
    )


def node(*in_use: str, taint: str = "") -> core.Node:
    taints = [core.Taint(key=taint, effect="NoExecute")] if taint else []
    return core.Node(spec=core.NodeSpec(taints=taints), status=core.NodeStatus(volumes_in_use=list(in_use)))


def test_names() -> None:
    assert ONE.unique_name == "kubernetes.io/csi/d^h"
    name = ONE.attachment_name("n")
    assert name.startswith("csi-") and len(name) == 68 and name != ONE.attachment_name("m")
    assert means(attachment("n"), ONE.unique_name)
    assert not means(attachment("n"), "kubernetes.io/csi/d^other") and not means(attachment("n"), "kubernetes.io/x")


def volume(**spec: Any) -> core.PersistentVolume:
    return types.decode(json.dumps({"metadata": {"name": "pv"}, "spec": spec}), core.PersistentVolume)


CSI = {"driver": "d", "volumeHandle": "h"}


def test_attachable() -> None:
    assert attachable(None, {}) is None and attachable(volume(nfs={"server": "s", "path": "/"}), {}) is None
    assert attachable(volume(csi=CSI, accessModes=["ReadWriteOnce"]), {}) == ONE
    assert attachable(volume(csi=CSI, accessModes=["ReadWriteOnce", "ReadOnlyMany"]), {}) == MANY
    driver = storage.CSIDriver(spec=storage.CSIDriverSpec(attach_required=False))
    assert attachable(volume(csi=CSI), {"d": driver}) is None


def test_needs_volumes() -> None:
    managed = core.Node(metadata=meta.ObjectMeta(annotations={CONTROLLER_MANAGED_ATTACH_ANNOTATION: "true"}))
    running = core.Pod(status=core.PodStatus(phase="Running"))
    ended = core.Pod(status=core.PodStatus(phase="Succeeded"))
    assert needs_volumes(running, managed) and not needs_volumes(ended, managed)
    assert not needs_volumes(running, core.Node()) and not needs_volumes(running, None)
    managed.metadata.annotations["volumes.kubernetes.io/keep-terminated-pod-volumes"] = "true"
    assert needs_volumes(ended, managed)


def test_attach_where_pods_are() -> None:
    assert plan(Need(ONE, {"n": ["a/p"]}), [], {}, {}, UPTIME) == [Attach(ONE, "n")]
    assert plan(Need(ONE, {"n": ["a/p"]}), [attachment("n")], {}, {}, UPTIME) == []
    assert plan(Need(MANY, {"n": ["a/p"], "m": ["a/q"]}), [], {}, {}, UPTIME) == [Attach(MANY, "m"), Attach(MANY, "n")]
    assert plan(Need(None, {"n": ["a/p"]}), [], {}, {}, UPTIME) == []


def test_one_node_at_a_time() -> None:
    wanted = Need(ONE, {"n": ["a/p"], "m": ["a/q"]})
    text = 'Multi-Attach error for volume "pv" Volume is already used by pod(s) q'
    assert plan(wanted, [attachment("m")], {}, {}, UPTIME) == [MultiAttach(ONE, "n", text)]
    assert plan(wanted, [], {}, {}, UPTIME) == [Attach(ONE, "m"), MultiAttach(ONE, "n", text)]
    held = attachment("m", deleting=True)
    text = 'Multi-Attach error for volume "pv" Volume is already exclusively attached to one node and can\'t be attached to another'
    assert plan(Need(ONE, {"n": ["a/p"]}), [held], {}, {}, UPTIME) == [MultiAttach(ONE, "n", text)]


@pytest.mark.parametrize(
    ("given", "waited", "expected"),
    [
        (node(), 0, "detach"),
        (None, 0, "detach"),
        (node(ONE.unique_name), 0, 360.0),
        (node(ONE.unique_name), 60, 300.0),
        (node(ONE.unique_name), 360, "detach"),
        (node(ONE.unique_name, taint=TAINT_NODE_OUT_OF_SERVICE), 0, "detach"),
    ],
)
def test_detach_once_unmounted_or_after_a_while(given: core.Node | None, waited: int, expected: str | float) -> None:
    unneeded = attachment("n")
    since = {unneeded.metadata.name: UPTIME - waited}
    nodes = {"n": given} if given is not None else {}
    actions = plan(Need(ONE), [unneeded], nodes, since, UPTIME)
    assert actions == [Detach(unneeded) if expected == "detach" else Wait(unneeded, float(expected))]


def test_what_is_being_detached_is_left_alone() -> None:
    assert plan(Need(ONE), [attachment("n", deleting=True)], {}, {}, UPTIME) == []


def test_nodes_show_what_is_attached_and_stays() -> None:
    names = {ONE.attachment_name("n"): ONE.unique_name}
    other = core.AttachedVolume(name="kubernetes.io/other/x")
    plain = core.Node(status=core.NodeStatus(volumes_attached=[other]))
    shown = attached_of(plain, [attachment("n")], names)
    assert shown is not None and [v.name for v in shown] == ["kubernetes.io/other/x", "kubernetes.io/csi/d^h"]
    plain.status.volumes_attached = shown
    assert attached_of(plain, [attachment("n")], names) is None
    assert attached_of(plain, [attachment("n")], {}) == [other]
    assert attached_of(plain, [attachment("n", attached=False)], names) == [other]


def test_claims_of_ephemeral_volumes_belong_to_the_pod() -> None:
    template = {"metadata": {"labels": {"k": "v"}}, "spec": {"accessModes": ["ReadWriteOnce"]}}
    volumes = [{"name": "a", "emptyDir": {}}, {"name": "b", "ephemeral": {"volumeClaimTemplate": template}}]
    body = {"metadata": {"name": "p", "namespace": "ns", "uid": "u"}, "spec": {"containers": [], "volumes": volumes}}
    [(name, claim)] = ephemeral_claims(types.decode(json.dumps(body), core.Pod))
    assert (name, claim.metadata.name, claim.metadata.labels) == ("b", "p-b", {"k": "v"})
    owner = claim.metadata.owner_references[0]
    assert (owner.kind, owner.uid, owner.controller, owner.block_owner_deletion) == ("Pod", "u", True, True)
