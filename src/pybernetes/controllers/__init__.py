"""kube-controller-manager: a room a controller, named as upstream's folder; `CONTROLLERS` is the list of them.

In a room `controller.py` does: a `Controller` that reads informers and applies. All else decides, as functions of objects and of `now`,
`plan.py` first; an import contract sees to it. Rooms know no other's controller, and the cluster only through `pybernetes.client`.

What rooms share lies beside them: `framework` (what a controller is made of), `common` (pure: pods, selectors, conditions, hashes),
`indexers` (pure), `history` (revisions of templates). `manager`, `options` and `credentials` run them.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Entry:
    """A controller by upstream's name; the class of `room:class` is imported only where it runs."""

    name: str
    where: str
    aliases: tuple[str, ...] = ()
    default: bool = True

    def load(self) -> Any:
        """The class of the controller; ImportError, AttributeError where `where` is wrong."""
        room, _, name = self.where.partition(":")
        return getattr(importlib.import_module(f"{__name__}.{room}.controller"), name)


CONTROLLERS: tuple[Entry, ...] = (
    Entry("endpoints-controller", "endpoint:EndpointsController", ("endpoint",)),
    Entry("endpointslice-controller", "endpointslice:EndpointSliceController", ("endpointslice",)),
    Entry("replicationcontroller-controller", "replication:ReplicationController", ("replicationcontroller",)),
    Entry(
        "endpointslice-mirroring-controller",
        "endpointslicemirroring:EndpointSliceMirroringController",
        ("endpointslicemirroring",),
    ),
    Entry("daemonset-controller", "daemon:DaemonSetsController", ("daemonset",)),
    Entry("job-controller", "job:JobController", ("job",)),
    Entry("deployment-controller", "deployment:DeploymentController", ("deployment",)),
    Entry("replicaset-controller", "replicaset:ReplicaSetController", ("replicaset",)),
    Entry("cronjob-controller", "cronjob:CronJobController", ("cronjob",)),
    Entry("disruption-controller", "disruption:DisruptionController", ("disruption",)),
    Entry(
        "horizontal-pod-autoscaler-controller",
        "podautoscaler:HorizontalController",
        ("horizontalpodautoscaling",),
    ),
    Entry("statefulset-controller", "statefulset:StatefulSetController", ("statefulset",)),
    Entry("namespace-controller", "namespace:NamespaceController", ("namespace",)),
    Entry("serviceaccount-controller", "serviceaccount.accounts:ServiceAccountsController", ("serviceaccount",)),
    Entry(
        "root-ca-certificate-publisher-controller",
        "certificates.rootcacertpublisher:RootCACertPublisher",
        ("root-ca-cert-publisher",),
    ),
    Entry("garbage-collector-controller", "garbagecollector:GarbageCollector", ("garbagecollector",)),
    Entry("pod-garbage-collector-controller", "podgc:PodGCController", ("podgc",)),
    Entry("ttl-after-finished-controller", "ttlafterfinished:TTLAfterFinishedController", ("ttl-after-finished",)),
    Entry("certificatesigningrequest-signing-controller", "certificates.signer:CSRSigningController", ("csrsigning",)),
    Entry(
        "certificatesigningrequest-approving-controller",
        "certificates.approver:CSRApprovingController",
        ("csrapproving",),
    ),
    Entry("certificatesigningrequest-cleaner-controller", "certificates.cleaner:CSRCleanerController", ("csrcleaner",)),
    Entry("ttl-controller", "ttl:TTLController", ("ttl",)),
    Entry("node-ipam-controller", "nodeipam:NodeIPAMController", ("nodeipam",)),
    Entry("node-lifecycle-controller", "nodelifecycle:NodeLifecycleController", ("nodelifecycle",)),
    Entry("taint-eviction-controller", "tainteviction:TaintEvictionController"),
    Entry("resourcequota-controller", "resourcequota:ResourceQuotaController", ("resourcequota",)),
    Entry(
        "serviceaccount-token-controller",
        "serviceaccount.tokens:ServiceAccountTokenController",
        ("serviceaccount-token",),
    ),
    Entry("bootstrap-signer-controller", "bootstrap.signer:BootstrapSigner", ("bootstrapsigner",), default=False),
    Entry("token-cleaner-controller", "bootstrap.tokencleaner:TokenCleaner", ("tokencleaner",), default=False),
    Entry(
        "persistentvolume-binder-controller",
        "volume.persistentvolume:PersistentVolumeController",
        ("persistentvolume-binder",),
    ),
    Entry(
        "persistentvolumeclaim-protection-controller", "volume.protection:PVCProtectionController", ("pvc-protection",)
    ),
    Entry("persistentvolume-protection-controller", "volume.protection:PVProtectionController", ("pv-protection",)),
    Entry(
        "clusterrole-aggregation-controller",
        "clusterroleaggregation:ClusterRoleAggregationController",
        ("clusterrole-aggregation",),
    ),
    Entry("ephemeral-volume-controller", "volume.ephemeral:EphemeralVolumeController", ("ephemeral-volume",)),
    Entry("persistentvolume-attach-detach-controller", "volume.attachdetach:AttachDetachController", ("attachdetach",)),
    Entry(
        "persistentvolume-expander-controller",
        "volume.expand:PersistentVolumeExpander",
        ("persistentvolume-expander",),
    ),
    Entry("service-cidr-controller", "servicecidrs:ServiceCIDRsController"),
    Entry("volumeattributesclass-protection-controller", "volume.protection:VACProtectionController"),
    Entry(
        "validatingadmissionpolicy-status-controller",
        "validatingadmissionpolicystatus:ValidatingAdmissionPolicyStatusController",
    ),
)


def selected(chosen: Sequence[str]) -> list[Entry]:
    """The entries of --controllers: `*` all that are on by default, `foo` one, `-foo` not that one.

    ValueError where a name is unknown.
    """
    names = {name: entry.name for entry in CONTROLLERS for name in (entry.name, *entry.aliases)}
    enabled: set[str] = set()
    unwanted: set[str] = set()
    for item in chosen:
        name = item.removeprefix("-")
        if name != "*" and name not in names:
            raise ValueError(f'"{name}" is not in the list of known controllers')
        (unwanted if item.startswith("-") else enabled).add(names.get(name, name))
    return [
        entry
        for entry in CONTROLLERS
        if entry.name not in unwanted and (entry.name in enabled or ("*" in enabled and entry.default))
    ]
