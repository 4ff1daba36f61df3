"""The roles and bindings that a cluster with RBAC begins with (upstream: plugin/pkg/auth/authorizer/rbac/bootstrappolicy). Data.

A rule is a line: verbs | API groups | resources [| resource names], words apart by spaces, `core` for the group without a name;
or verbs | paths. R, W and RW stand for the verbs that read, write, and both.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

from .rules import GROUP, Rule

API_VERSION = f"{GROUP}/v1"
LABELS = {"kubernetes.io/bootstrapping": "rbac-defaults"}
AUTOUPDATE = "rbac.authorization.kubernetes.io/autoupdate"
ANNOTATIONS = {AUTOUPDATE: "true"}
AGGREGATE = "rbac.authorization.k8s.io/aggregate-to-"
SYSTEM = "kube-system"
CONTROLLER = "system:controller:"

Object = dict[str, Any]

READ = ("get", "list", "watch")
WRITE = ("create", "delete", "deletecollection", "patch", "update")
_VERBS = {"R": READ, "W": WRITE, "RW": (*READ, *WRITE)}
_EVENTS = "create patch update | core events.k8s.io | events"

# Aggregated roles: name -> the role that also gets its rules.
AGGREGATED = {"admin": "", "edit": "admin", "view": "edit"}
AGGREGATING = {
    "system:aggregate-to-admin": "admin",
    "system:aggregate-to-edit": "edit",
    "system:aggregate-to-view": "view",
}

_ALL_CLAIMS = "resourceclaims resourceclaimtemplates"
_VOLUMES = "persistentvolumeclaims persistentvolumes"

CLUSTER_ROLES: dict[str, tuple[str, ...]] = {
    "cluster-admin": ("* | * | *", "* | *"),
    "system:discovery": (
        "get | /api /api/* /apis /apis/* /healthz /livez /openapi /openapi/* /readyz /version /version/",
    ),
    "system:monitoring": ("get | /healthz /healthz/* /livez /livez/* /metrics /metrics/slis /readyz /readyz/*",),
    "system:public-info-viewer": ("get | /healthz /livez /readyz /version /version/",),
    "system:basic-user": (
        "create | authorization.k8s.io | selfsubjectaccessreviews selfsubjectrulesreviews",
        "create | authentication.k8s.io | selfsubjectreviews",
    ),
    "system:service-account-issuer-discovery": ("get | /.well-known/openid-configuration /openid/v1/jwks",),
    "system:aggregate-to-admin": (
        "create | authorization.k8s.io | localsubjectaccessreviews",
        "RW | rbac.authorization.k8s.io | rolebindings roles",
    ),
    "system:aggregate-to-edit": (
        "R | core | pods/attach pods/exec pods/portforward pods/proxy secrets services/proxy",
        "impersonate | core | serviceaccounts",
        "W | core | pods pods/attach pods/exec pods/portforward pods/proxy",
        "create | core | pods/eviction",
        "W | core | configmaps events persistentvolumeclaims replicationcontrollers replicationcontrollers/scale"
        " secrets serviceaccounts services services/proxy",
        "create | core | serviceaccounts/token",
        "W | apps | daemonsets deployments deployments/rollback deployments/scale replicasets replicasets/scale"
        " statefulsets statefulsets/scale",
        "W | autoscaling | horizontalpodautoscalers",
        "W | batch | cronjobs jobs",
        "W | extensions | daemonsets deployments deployments/rollback deployments/scale ingresses networkpolicies"
        " replicasets replicasets/scale replicationcontrollers/scale",
        "W | policy | poddisruptionbudgets",
        "W | networking.k8s.io | ingresses networkpolicies",
        "RW | coordination.k8s.io | leases",
        f"W | resource.k8s.io | {_ALL_CLAIMS}",
    ),
    "system:aggregate-to-view": (
        "R | core | configmaps endpoints persistentvolumeclaims persistentvolumeclaims/status pods"
        " replicationcontrollers replicationcontrollers/scale serviceaccounts services services/status",
        "R | core | bindings events limitranges namespaces/status pods/log pods/status replicationcontrollers/status"
        " resourcequotas resourcequotas/status",
        "R | core | namespaces",
        "R | discovery.k8s.io | endpointslices",
        "R | apps | controllerrevisions daemonsets daemonsets/status deployments deployments/scale deployments/status"
        " replicasets replicasets/scale replicasets/status statefulsets statefulsets/scale statefulsets/status",
        "R | autoscaling | horizontalpodautoscalers horizontalpodautoscalers/status",
        "R | batch | cronjobs cronjobs/status jobs jobs/status",
        "R | extensions | daemonsets daemonsets/status deployments deployments/scale deployments/status ingresses"
        " ingresses/status networkpolicies replicasets replicasets/scale replicasets/status"
        " replicationcontrollers/scale",
        "R | policy | poddisruptionbudgets poddisruptionbudgets/status",
        "R | networking.k8s.io | ingresses ingresses/status networkpolicies",
        f"R | resource.k8s.io | {_ALL_CLAIMS} resourceclaims/status",
    ),
    "system:heapster": ("R | core | events namespaces nodes pods", "R | extensions | deployments"),
    "system:node": (
        "create | authentication.k8s.io | tokenreviews",
        "create | authorization.k8s.io | localsubjectaccessreviews subjectaccessreviews",
        "R | core | services",
        "create get list watch | core | nodes",
        "patch update | core | nodes/status",
        "patch update | core | nodes",
        "create patch update | core | events",
        "R | core | pods",
        "create delete | core | pods",
        "patch update | core | pods/status",
        "create | core | pods/eviction",
        "R | core | configmaps secrets",
        f"get | core | {_VOLUMES}",
        "get | core | endpoints",
        "create get list watch | certificates.k8s.io | certificatesigningrequests",
        "create delete get patch update | coordination.k8s.io | leases",
        "get | storage.k8s.io | volumeattachments",
        "create | core | serviceaccounts/token",
        "get patch update | core | persistentvolumeclaims/status",
        "R | storage.k8s.io | csidrivers",
        "create delete get patch update | storage.k8s.io | csinodes",
        "R | node.k8s.io | runtimeclasses",
        "get | resource.k8s.io | resourceclaims",
        "deletecollection | resource.k8s.io | resourceslices",
    ),
    "system:node-problem-detector": ("get | core | nodes", "patch | core | nodes/status", _EVENTS),
    "system:kubelet-api-admin": (
        "R | core | nodes",
        "proxy | core | nodes",
        "* | core | nodes/configz nodes/healthz nodes/log nodes/metrics nodes/pods nodes/proxy nodes/stats",
    ),
    "system:node-bootstrapper": ("create get list watch | certificates.k8s.io | certificatesigningrequests",),
    "system:auth-delegator": (
        "create | authentication.k8s.io | tokenreviews",
        "create | authorization.k8s.io | subjectaccessreviews",
    ),
    "system:kube-aggregator": ("R | core | endpoints services",),
    "system:kube-controller-manager": (
        _EVENTS,
        "create | coordination.k8s.io | leases",
        "get update | coordination.k8s.io | leases | kube-controller-manager",
        "create | core | secrets serviceaccounts",
        "delete | core | secrets",
        "get | core | configmaps namespaces secrets serviceaccounts",
        "update | core | secrets serviceaccounts",
        "create | authentication.k8s.io | tokenreviews",
        "create | authorization.k8s.io | subjectaccessreviews",
        "list watch | * | *",
        "create | core | serviceaccounts/token",
    ),
    "system:kube-dns": ("list watch | core | endpoints services",),
    "system:persistent-volume-provisioner": (
        "create delete get list watch | core | persistentvolumes",
        "get list update watch | core | persistentvolumeclaims",
        "R | storage.k8s.io | storageclasses",
        "watch | core | events",
        _EVENTS,
    ),
    "system:certificates.k8s.io:certificatesigningrequests:nodeclient": (
        "create | certificates.k8s.io | certificatesigningrequests/nodeclient",
    ),
    "system:certificates.k8s.io:certificatesigningrequests:selfnodeclient": (
        "create | certificates.k8s.io | certificatesigningrequests/selfnodeclient",
    ),
    "system:volume-scheduler": (
        "get list patch update watch | core | persistentvolumes",
        "R | storage.k8s.io | storageclasses",
        "get list patch update watch | core | persistentvolumeclaims",
    ),
    "system:certificates.k8s.io:legacy-unknown-approver": (
        "approve | certificates.k8s.io | signers | kubernetes.io/legacy-unknown",
    ),
    "system:certificates.k8s.io:kubelet-serving-approver": (
        "approve | certificates.k8s.io | signers | kubernetes.io/kubelet-serving",
    ),
    "system:certificates.k8s.io:kube-apiserver-client-approver": (
        "approve | certificates.k8s.io | signers | kubernetes.io/kube-apiserver-client",
    ),
    "system:certificates.k8s.io:kube-apiserver-client-kubelet-approver": (
        "approve | certificates.k8s.io | signers | kubernetes.io/kube-apiserver-client-kubelet",
    ),
    "system:node-proxier": (
        "list watch | core | endpoints services",
        "R | core | nodes",
        _EVENTS,
        "list watch | discovery.k8s.io | endpointslices",
        "list watch | networking.k8s.io | servicecidrs",
    ),
    "system:kube-scheduler": (
        _EVENTS,
        "create | coordination.k8s.io | leases",
        "get update | coordination.k8s.io | leases | kube-scheduler",
        "R | core | nodes",
        "delete get list watch | core | pods",
        "create | core | bindings pods/binding",
        "patch update | core | pods/status",
        "R | core | replicationcontrollers services",
        "R | apps extensions | replicasets",
        "R | apps | statefulsets",
        "R | policy | poddisruptionbudgets",
        f"R | core | {_VOLUMES}",
        "create | authentication.k8s.io | tokenreviews",
        "create | authorization.k8s.io | subjectaccessreviews",
        "R | storage.k8s.io | csinodes",
        "R | core | namespaces",
        "R | storage.k8s.io | csidrivers",
        "R | storage.k8s.io | csistoragecapacities",
        "R | storage.k8s.io | volumeattachments",
        "R | resource.k8s.io | deviceclasses",
        "get list patch update watch | resource.k8s.io | resourceclaims",
        "patch update | resource.k8s.io | resourceclaims/status",
        "R | resource.k8s.io | resourceslices",
    ),
}

# Roles of controllers, without their prefix; each is bound to the account of the same name in kube-system.
CONTROLLER_ROLES: dict[str, tuple[str, ...]] = {
    "attachdetach-controller": (
        f"list watch | core | {_VOLUMES}",
        "R | core | nodes",
        "patch update | core | nodes/status",
        "list watch | core | pods",
        _EVENTS,
        "create delete get list watch | storage.k8s.io | volumeattachments",
        "R | storage.k8s.io | csidrivers",
        "R | storage.k8s.io | csinodes",
    ),
    "clusterrole-aggregation-controller": (
        "escalate get list patch update watch | rbac.authorization.k8s.io | clusterroles",
    ),
    "cronjob-controller": (
        "get list update watch | batch | cronjobs",
        "create delete get list patch update watch | batch | jobs",
        "update | batch | cronjobs/status",
        "update | batch | cronjobs/finalizers",
        "delete list watch | core | pods",
        _EVENTS,
    ),
    "daemon-set-controller": (
        "R | apps extensions | daemonsets",
        "update | apps extensions | daemonsets/status",
        "update | apps extensions | daemonsets/finalizers",
        "list watch | core | nodes",
        "create delete list patch watch | core | pods",
        "create | core | pods/binding",
        "create delete get list patch update watch | apps | controllerrevisions",
        _EVENTS,
    ),
    "deployment-controller": (
        "get list update watch | apps extensions | deployments",
        "update | apps extensions | deployments/status",
        "update | apps extensions | deployments/finalizers",
        "create delete get list patch update watch | apps extensions | replicasets",
        "get list update watch | core | pods",
        _EVENTS,
    ),
    "disruption-controller": (
        "R | apps extensions | deployments",
        "R | apps extensions | replicasets",
        "R | core | replicationcontrollers",
        "R | policy | poddisruptionbudgets",
        "R | apps | statefulsets",
        "update | policy | poddisruptionbudgets/status",
        "patch update | core | pods/status",
        "get | * | */scale",
        _EVENTS,
    ),
    "endpoint-controller": (
        "R | core | pods services",
        "create delete get list update watch | core | endpoints",
        "create | core | endpoints/restricted",
        _EVENTS,
    ),
    "endpointslice-controller": (
        "R | core | nodes pods services",
        "update | core | services/finalizers",
        "create delete get list update watch | discovery.k8s.io | endpointslices",
        _EVENTS,
    ),
    "endpointslicemirroring-controller": (
        "R | core | endpoints services",
        "update | core | services/finalizers",
        "update | core | endpoints/finalizers",
        "create delete get list update watch | discovery.k8s.io | endpointslices",
        _EVENTS,
    ),
    "expand-controller": (
        "get list patch update watch | core | persistentvolumes",
        "patch update | core | persistentvolumeclaims/status",
        "R | core | persistentvolumeclaims",
        _EVENTS,
        "get | core | services",
    ),
    "ephemeral-volume-controller": (
        "R | core | pods",
        "update | core | pods/finalizers",
        "create get list watch | core | persistentvolumeclaims",
        _EVENTS,
    ),
    "resource-claim-controller": (
        "R | core | pods",
        "update | core | pods/finalizers",
        "create delete get list watch | resource.k8s.io | resourceclaims",
        "patch update | resource.k8s.io | resourceclaims resourceclaims/status",
        "patch update | core | pods/status",
        _EVENTS,
    ),
    "generic-garbage-collector": ("delete get list patch update watch | * | *", _EVENTS),
    "horizontal-pod-autoscaler": (
        "R | autoscaling | horizontalpodautoscalers",
        "update | autoscaling | horizontalpodautoscalers/status",
        "get update | * | */scale",
        "list watch | core | pods",
        "list watch | metrics.k8s.io | pods",
        "R | custom.metrics.k8s.io | *",
        "R | external.metrics.k8s.io | *",
        _EVENTS,
    ),
    "job-controller": (
        "get list patch update watch | batch | jobs",
        "update | batch | jobs/status",
        "update | batch | jobs/finalizers",
        "create delete list patch watch | core | pods",
        _EVENTS,
    ),
    "namespace-controller": (
        "delete get list watch | core | namespaces",
        "update | core | namespaces/finalize namespaces/status",
        "delete deletecollection get list watch | * | *",
    ),
    "node-controller": (
        "delete get list patch update watch | core | nodes",
        "patch update | core | nodes/status",
        "patch update | core | pods/status",
        "delete get list watch | core | pods",
        _EVENTS,
    ),
    "persistent-volume-binder": (
        "create delete get list update watch | core | persistentvolumes",
        "update | core | persistentvolumes/status",
        "get list update watch | core | persistentvolumeclaims",
        "update | core | persistentvolumeclaims/status",
        "create delete get list watch | core | pods",
        "R | storage.k8s.io | storageclasses",
        "list watch | core | nodes",
        _EVENTS,
        "watch | core | events",
        "get | core | services",
    ),
    "pod-garbage-collector": (
        "delete list watch | core | pods",
        "R | core | nodes",
        "patch | core | pods/status",
    ),
    "replicaset-controller": (
        "get list update watch | apps extensions | replicasets",
        "update | apps extensions | replicasets/status",
        "update | apps extensions | replicasets/finalizers",
        "create delete list patch watch | core | pods",
        _EVENTS,
    ),
    "replication-controller": (
        "get list update watch | core | replicationcontrollers",
        "update | core | replicationcontrollers/status",
        "update | core | replicationcontrollers/finalizers",
        "create delete list patch watch | core | pods",
        _EVENTS,
    ),
    "resourcequota-controller": ("list watch | * | *", "update | core | resourcequotas/status", _EVENTS),
    "route-controller": ("list watch | core | nodes", "patch | core | nodes/status", _EVENTS),
    "service-account-controller": ("create | core | serviceaccounts", _EVENTS),
    "service-controller": (
        "R | core | services",
        "patch update | core | services/status",
        "list watch | core | nodes",
        _EVENTS,
    ),
    "service-cidrs-controller": (
        "get list patch update watch | networking.k8s.io | servicecidrs",
        "patch update | networking.k8s.io | servicecidrs/finalizers",
        "patch update | networking.k8s.io | servicecidrs/status",
        "R | networking.k8s.io | ipaddresses",
        _EVENTS,
    ),
    "statefulset-controller": (
        "list watch | core | pods",
        "R | apps | statefulsets",
        "update | apps | statefulsets/status",
        "update | apps | statefulsets/finalizers",
        "create delete get patch update | core | pods",
        "create delete get list patch update watch | apps | controllerrevisions",
        "create get list watch | core | persistentvolumeclaims",
        "delete update | core | persistentvolumeclaims",
        "update | core | pods/finalizers",
        _EVENTS,
    ),
    "ttl-controller": ("list patch update watch | core | nodes", _EVENTS),
    "certificate-controller": (
        "delete get list watch | certificates.k8s.io | certificatesigningrequests",
        "update | certificates.k8s.io | certificatesigningrequests/approval certificatesigningrequests/status",
        "approve | certificates.k8s.io | signers | kubernetes.io/kube-apiserver-client-kubelet",
        "sign | certificates.k8s.io | signers | kubernetes.io/kube-apiserver-client"
        " kubernetes.io/kube-apiserver-client-kubelet kubernetes.io/kubelet-serving kubernetes.io/legacy-unknown",
        "create | authorization.k8s.io | subjectaccessreviews",
        _EVENTS,
    ),
    "pvc-protection-controller": (
        "get list update watch | core | persistentvolumeclaims",
        "R | core | pods",
        _EVENTS,
    ),
    "pv-protection-controller": ("get list update watch | core | persistentvolumes", _EVENTS),
    "volumeattributesclass-protection-controller": (
        "R | core | persistentvolumeclaims",
        "R | core | persistentvolumes",
        "get list update watch | storage.k8s.io | volumeattributesclasses",
        _EVENTS,
    ),
    "ttl-after-finished-controller": ("delete get list watch | batch | jobs", _EVENTS),
    "root-ca-cert-publisher": ("create update | core | configmaps", _EVENTS),
    "validatingadmissionpolicy-status-controller": (
        "R | admissionregistration.k8s.io | validatingadmissionpolicies",
        "get patch update | admissionregistration.k8s.io | validatingadmissionpolicies/status",
        _EVENTS,
    ),
    "legacy-service-account-token-cleaner": (
        "get | core | configmaps | kube-apiserver-legacy-service-account-token-tracking",
        "delete patch | core | secrets",
    ),
    "selinux-warning-controller": (
        _EVENTS,
        "R | core | persistentvolumes",
        "R | core | persistentvolumeclaims",
        "R | core | pods",
        "R | storage.k8s.io | csidrivers",
    ),
}

# Binding and role of the same name -> subjects: User, Group, or NAMESPACE/ACCOUNT.
CLUSTER_ROLE_BINDINGS: dict[str, tuple[str, ...]] = {
    "cluster-admin": ("Group system:masters",),
    "system:monitoring": ("Group system:monitoring",),
    "system:discovery": ("Group system:authenticated",),
    "system:basic-user": ("Group system:authenticated",),
    "system:public-info-viewer": ("Group system:authenticated", "Group system:unauthenticated"),
    "system:node-proxier": ("User system:kube-proxy",),
    "system:kube-controller-manager": ("User system:kube-controller-manager",),
    "system:kube-dns": ("ServiceAccount kube-system/kube-dns",),
    "system:kube-scheduler": ("User system:kube-scheduler",),
    "system:volume-scheduler": ("User system:kube-scheduler",),
    "system:node": (),  # the Node authorizer gives nodes their rights
    "system:service-account-issuer-discovery": ("Group system:serviceaccounts",),
}

# (namespace, name) -> rules.
ROLES: dict[tuple[str, str], tuple[str, ...]] = {
    (SYSTEM, "extension-apiserver-authentication-reader"): (
        "R | core | configmaps | extension-apiserver-authentication",
    ),
    (SYSTEM, f"{CONTROLLER}bootstrap-signer"): ("R | core | secrets",),
    (SYSTEM, f"{CONTROLLER}cloud-provider"): ("create get list watch | core | configmaps",),
    (SYSTEM, f"{CONTROLLER}token-cleaner"): ("delete get list watch | core | secrets", _EVENTS),
    (SYSTEM, "system::leader-locking-kube-controller-manager"): (
        "watch | core | configmaps",
        "get update | core | configmaps | kube-controller-manager",
    ),
    (SYSTEM, "system::leader-locking-kube-scheduler"): (
        "watch | core | configmaps",
        "get update | core | configmaps | kube-scheduler",
    ),
    ("kube-public", f"{CONTROLLER}bootstrap-signer"): (
        "R | core | configmaps",
        "update | core | configmaps | cluster-info",
        _EVENTS,
    ),
}

# (namespace, name) -> (role, subjects).
ROLE_BINDINGS: dict[tuple[str, str], tuple[str, tuple[str, ...]]] = {
    (SYSTEM, "system::extension-apiserver-authentication-reader"): (
        "extension-apiserver-authentication-reader",
        ("User system:kube-controller-manager", "User system:kube-scheduler"),
    ),
    **{
        (SYSTEM, f"system::leader-locking-{part}"): (
            f"system::leader-locking-{part}",
            (f"User system:{part}", f"ServiceAccount {SYSTEM}/{part}"),
        )
        for part in ("kube-controller-manager", "kube-scheduler")
    },
    **{
        (namespace, CONTROLLER + account): (CONTROLLER + account, (f"ServiceAccount {SYSTEM}/{account}",))
        for namespace, account in (
            (SYSTEM, "bootstrap-signer"),
            (SYSTEM, "cloud-provider"),
            (SYSTEM, "token-cleaner"),
            ("kube-public", "bootstrap-signer"),
        )
    },
}


def rule(line: str) -> Rule:
    """A line of the tables as a PolicyRule."""
    verbs, *rest = [part.split() for part in line.split("|")]
    listed = sorted({verb for word in verbs for verb in _VERBS.get(word, (word,))})
    if len(rest) == 1:
        return {"nonResourceURLs": rest[0], "verbs": listed}
    groups = ["" if group == "core" else group for group in rest[0]]
    policy_rule: Rule = {"apiGroups": groups, "resources": sorted(rest[1]), "verbs": listed}
    if len(rest) == 3:
        policy_rule["resourceNames"] = rest[2]
    return policy_rule


@cache
def node_rules() -> Sequence[Rule]:
    """What the Node authorizer lets every node do. Shared, as the objects below: whoever changes them takes a copy."""
    return [rule(line) for line in CLUSTER_ROLES["system:node"]]


def _meta(name: str, namespace: str = "", labels: dict[str, str] | None = None) -> Object:
    metadata: Object = {"name": name, "labels": {**LABELS, **(labels or {})}, "annotations": dict(ANNOTATIONS)}
    if namespace:
        metadata["namespace"] = namespace
    return metadata


def _subject(text: str) -> Object:
    kind, name = text.split(" ")
    if kind == "ServiceAccount":
        namespace, _, name = name.partition("/")
        return {"kind": kind, "name": name, "namespace": namespace}
    return {"apiGroup": GROUP, "kind": kind, "name": name}


def _binding(kind: str, role_kind: str, name: str, role: str, subjects: tuple[str, ...], namespace: str = "") -> Object:
    binding: Object = {
        "apiVersion": API_VERSION,
        "kind": kind,
        "metadata": _meta(name, namespace),
        "roleRef": {"apiGroup": GROUP, "kind": role_kind, "name": role},
    }
    if subjects:
        binding["subjects"] = [_subject(text) for text in subjects]
    return binding


def _role(kind: str, metadata: Object, lines: tuple[str, ...]) -> Object:
    return {"apiVersion": API_VERSION, "kind": kind, "metadata": metadata, "rules": [rule(line) for line in lines]}


@cache
def cluster_roles() -> Sequence[Object]:
    """All cluster roles."""
    roles = []
    for name, into in AGGREGATED.items():
        labels = {AGGREGATE + into: "true"} if into else {}
        selector = {"matchLabels": {f"{AGGREGATE}{name}": "true"}}
        role = _role("ClusterRole", _meta(name, labels=labels), ())
        roles.append({**role, "rules": None, "aggregationRule": {"clusterRoleSelectors": [selector]}})
    for name, lines in CLUSTER_ROLES.items():
        into = AGGREGATING.get(name, "")
        labels = {AGGREGATE + into: "true"} if into else {}
        roles.append(_role("ClusterRole", _meta(name, labels=labels), lines))
    roles += [_role("ClusterRole", _meta(CONTROLLER + name), lines) for name, lines in CONTROLLER_ROLES.items()]
    return roles


@cache
def cluster_role_bindings() -> Sequence[Object]:
    """All cluster role bindings."""
    kinds = ("ClusterRoleBinding", "ClusterRole")
    bindings = [_binding(*kinds, name, name, subjects) for name, subjects in CLUSTER_ROLE_BINDINGS.items()]
    for name in CONTROLLER_ROLES:
        role = CONTROLLER + name
        bindings.append(_binding(*kinds, role, role, (f"ServiceAccount {SYSTEM}/{name}",)))
    return bindings


@cache
def roles() -> Sequence[Object]:
    """Roles of namespaces."""
    return [_role("Role", _meta(name, namespace), lines) for (namespace, name), lines in ROLES.items()]


@cache
def role_bindings() -> Sequence[Object]:
    """Role bindings of namespaces."""
    return [
        _binding("RoleBinding", "Role", name, role, subjects, namespace)
        for (namespace, name), (role, subjects) in ROLE_BINDINGS.items()
    ]
