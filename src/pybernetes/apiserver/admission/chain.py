"""The admission plug-ins in the order in which they are asked (upstream: pkg/kubeapiserver/options/plugins.go)."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from pybernetes.aio.clock import Clock, RealClock
from pybernetes.component.metrics import Registry

from ..authorization.modes import Authorizers
from ..resource import Resource
from ..types import AdmissionPlugin, Attributes, Reader
from .allowprivileged import AllowPrivileged
from .always import AlwaysAdmit, AlwaysDeny
from .alwayspullimages import AlwaysPullImages
from .antiaffinity import LimitPodHardAntiAffinityTopology
from .certificates import CertificateApproval, CertificateSigning, CertificateSubjectRestriction
from .defaultingressclass import DefaultIngressClass
from .defaultstorageclass import DefaultStorageClass
from .defaulttolerationseconds import SECONDS, DefaultTolerationSeconds
from .denyserviceexternalips import DenyServiceExternalIPs
from .extendedresourcetoleration import ExtendedResourceToleration
from .limitranger import LimitRanger
from .namespaceautoprovision import NamespaceAutoProvision, Provide
from .namespaceexists import NamespaceExists
from .namespacelifecycle import NamespaceLifecycle
from .noderestriction import NodeRestriction
from .nodetaint import TaintNodesByCondition
from .ownerreferences import OwnerReferencesPermissionEnforcement
from .persistentvolumeclaimresize import PersistentVolumeClaimResize
from .podnodeselector import PodNodeSelector
from .podsecurity import PodSecurity
from .podtopologylabels import PodTopologyLabels
from .policy.plugins import MutatingAdmissionPolicy, Policies, ValidatingAdmissionPolicy
from .priority import Priority
from .rbacescalation import RBACEscalation
from .resourcequota import ResourceQuota, WriteStatus
from .runtimeclass import RuntimeClass
from .serviceaccount import ServiceAccount
from .storageobjectinuseprotection import StorageObjectInUseProtection
from .webhook.plugins import MutatingAdmissionWebhook, ValidatingAdmissionWebhook, Webhooks


@dataclass(frozen=True, kw_only=True)
class Services:
    """What plug-ins may use of the server."""

    reader: Reader
    authorizers: Authorizers
    write_quota: WriteStatus
    provide_namespace: Provide
    allow_privileged: bool = True
    toleration_seconds: tuple[int, int] = (SECONDS, SECONDS)  # on nodes that are not ready, and not to be reached
    legacy: bool = False  # as when old group-versions were new: pods get token secrets
    served: Callable[[], Iterable[Resource]] = tuple  # all resources, for webhooks that know another version
    clock: Clock = field(default_factory=RealClock)
    registry: Registry | None = None  # for the metrics of webhooks

    @functools.cached_property
    def webhooks(self) -> Webhooks:
        """What the two plug-ins of webhooks share."""
        return Webhooks(self.reader, self.served, self.authorizers, self.registry)

    @functools.cached_property
    def policies(self) -> Policies:
        """What the two plug-ins of policies share."""
        return Policies(self.reader, self.served, self.authorizers, self.registry)


def _pod_security_policy(services: Services) -> AdmissionPlugin:
    from .podsecuritypolicy import PodSecurityPolicy  # it left upstream: few have it

    return PodSecurityPolicy(services.reader, services.authorizers)


ADMISSION: dict[str, Callable[[Services], AdmissionPlugin]] = {
    "AlwaysAdmit": lambda s: AlwaysAdmit(),
    "NamespaceAutoProvision": lambda s: NamespaceAutoProvision(s.reader, s.provide_namespace),
    "NamespaceLifecycle": lambda s: NamespaceLifecycle(s.reader),
    "NamespaceExists": lambda s: NamespaceExists(s.reader),
    "LimitPodHardAntiAffinityTopology": lambda s: LimitPodHardAntiAffinityTopology(),
    "LimitRanger": lambda s: LimitRanger(s.reader),
    "ServiceAccount": lambda s: ServiceAccount(s.reader, clock=s.clock, token_secrets=s.legacy),
    "NodeRestriction": lambda s: NodeRestriction(s.reader, s.authorizers),
    "TaintNodesByCondition": lambda s: TaintNodesByCondition(),
    "AlwaysPullImages": lambda s: AlwaysPullImages(),
    "PodSecurity": lambda s: PodSecurity(s.reader),
    "PodSecurityPolicy": _pod_security_policy,
    "PodNodeSelector": lambda s: PodNodeSelector(s.reader),
    "Priority": lambda s: Priority(s.reader),
    "DefaultTolerationSeconds": lambda s: DefaultTolerationSeconds(s.reader, *s.toleration_seconds),
    "ExtendedResourceToleration": lambda s: ExtendedResourceToleration(),
    "DefaultStorageClass": lambda s: DefaultStorageClass(s.reader),
    "StorageObjectInUseProtection": lambda s: StorageObjectInUseProtection(s.reader),
    "OwnerReferencesPermissionEnforcement": lambda s: OwnerReferencesPermissionEnforcement(s.authorizers, s.served),
    "PersistentVolumeClaimResize": lambda s: PersistentVolumeClaimResize(s.reader),
    "RuntimeClass": lambda s: RuntimeClass(s.reader),
    "CertificateApproval": lambda s: CertificateApproval(s.authorizers),
    "CertificateSigning": lambda s: CertificateSigning(s.authorizers),
    "CertificateSubjectRestriction": lambda s: CertificateSubjectRestriction(),
    "DefaultIngressClass": lambda s: DefaultIngressClass(s.reader),
    "DenyServiceExternalIPs": lambda s: DenyServiceExternalIPs(),
    "PodTopologyLabels": lambda s: PodTopologyLabels(s.reader),
    "MutatingAdmissionPolicy": lambda s: MutatingAdmissionPolicy(s.policies),
    "MutatingAdmissionWebhook": lambda s: MutatingAdmissionWebhook(s.webhooks),
    "ValidatingAdmissionPolicy": lambda s: ValidatingAdmissionPolicy(s.policies),
    "ValidatingAdmissionWebhook": lambda s: ValidatingAdmissionWebhook(s.webhooks),
    "ResourceQuota": lambda s: ResourceQuota(s.reader, s.write_quota, s.clock),
    "AlwaysDeny": lambda s: AlwaysDeny(),
}

# Off unless switched on (upstream: DefaultOffAdmissionPlugins).
OFF = (
    "AlwaysAdmit",
    "NamespaceAutoProvision",
    "NamespaceExists",
    "LimitPodHardAntiAffinityTopology",
    "NodeRestriction",
    "AlwaysPullImages",
    "PodSecurityPolicy",
    "PodNodeSelector",
    "ExtendedResourceToleration",
    "OwnerReferencesPermissionEnforcement",
    "DenyServiceExternalIPs",
    "AlwaysDeny",
)
DEFAULT = tuple(name for name in ADMISSION if name not in OFF)
# Of a server without controllers: no namespace has the account that ServiceAccount asks for, no quota is ever counted.
EMBEDDED = tuple(name for name in DEFAULT if name != "ServiceAccount")


def admission_chain(services: Services, enabled: Sequence[str]) -> list[AdmissionPlugin]:
    """The enabled plug-ins in their order, and what no flag switches off. ValueError for unknown names."""
    unknown = [name for name in enabled if name not in ADMISSION]
    if unknown:
        raise ValueError(f"admission plug-in {unknown[0]!r} is not known; there are {', '.join(ADMISSION)}")
    chosen = [make(services) for name, make in ADMISSION.items() if name in enabled]
    always: list[AdmissionPlugin] = [RBACEscalation(services.authorizers)]
    if not services.allow_privileged:
        always.append(AllowPrivileged())
    # What counts must be the last to be asked, lest it counts what is refused after it.
    last = [plugin for plugin in chosen if plugin.name == ResourceQuota.name]
    return [*(plugin for plugin in chosen if plugin not in last), *always, *last]


class AdmissionChain:
    """See `types.Admission`."""

    def __init__(self, plugins: Sequence[AdmissionPlugin]) -> None:
        # Who is asked of what is settled beforehand: most have something to say of a kind or two.
        named = {key for plugin in plugins for key in plugin.resources or ()}
        self._concerned = {key: tuple(p for p in plugins if p.resources is None or key in p.resources) for key in named}
        self._general = tuple(plugin for plugin in plugins if plugin.resources is None)

    def _asked(self, resource: Resource) -> tuple[AdmissionPlugin, ...]:
        return self._concerned.get((resource.group, resource.name), self._general)

    async def mutate(self, attributes: Attributes) -> None:
        """Upstream: admission/reinvocation.go."""
        plugins = self._asked(attributes.resource)
        for again in (False, True):
            attributes.again = again
            for plugin in plugins:
                waiting = plugin.admit(attributes)
                if waiting is not None:
                    await waiting
            if not attributes.mutated:
                return

    async def validate(self, attributes: Attributes) -> None:
        """Changes nothing."""
        for plugin in self._asked(attributes.resource):
            waiting = plugin.validate(attributes)
            if waiting is not None:
                await waiting

    async def admit(self, attributes: Attributes) -> None:
        """Asks all of what is no write of an object."""
        await self.mutate(attributes)
        await self.validate(attributes)
