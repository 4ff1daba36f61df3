"""Labels, annotations, taints, finalizers, signers and names of users that several parts speak of.

Each is named as upstream names it, in the spelling of Python; the section says in which of upstream's files it stands. What one
module alone speaks of stays there.
"""

from __future__ import annotations

from typing import Final

# --- labels of nodes (api/core/v1/well_known_labels.go, kubelet/pkg/apis/well_known_labels.go) ---

LABEL_HOSTNAME: Final = "kubernetes.io/hostname"
LABEL_OS_STABLE: Final = "kubernetes.io/os"
LABEL_ARCH_STABLE: Final = "kubernetes.io/arch"
LABEL_INSTANCE_TYPE_STABLE: Final = "node.kubernetes.io/instance-type"
LABEL_TOPOLOGY_ZONE: Final = "topology.kubernetes.io/zone"
LABEL_TOPOLOGY_REGION: Final = "topology.kubernetes.io/region"

# What those were called before; nodes still bear both, volumes of old clusters only these.
LABEL_OS: Final = "beta.kubernetes.io/os"
LABEL_ARCH: Final = "beta.kubernetes.io/arch"
LABEL_INSTANCE_TYPE: Final = "beta.kubernetes.io/instance-type"
LABEL_FAILURE_DOMAIN_BETA_ZONE: Final = "failure-domain.beta.kubernetes.io/zone"
LABEL_FAILURE_DOMAIN_BETA_REGION: Final = "failure-domain.beta.kubernetes.io/region"

# --- taints of nodes (api/core/v1/well_known_taints.go) ---

TAINT_NODE_NOT_READY: Final = "node.kubernetes.io/not-ready"
TAINT_NODE_UNREACHABLE: Final = "node.kubernetes.io/unreachable"
TAINT_NODE_UNSCHEDULABLE: Final = "node.kubernetes.io/unschedulable"
TAINT_NODE_MEMORY_PRESSURE: Final = "node.kubernetes.io/memory-pressure"
TAINT_NODE_DISK_PRESSURE: Final = "node.kubernetes.io/disk-pressure"
TAINT_NODE_NETWORK_UNAVAILABLE: Final = "node.kubernetes.io/network-unavailable"
TAINT_NODE_PID_PRESSURE: Final = "node.kubernetes.io/pid-pressure"
TAINT_NODE_OUT_OF_SERVICE: Final = "node.kubernetes.io/out-of-service"  # by people: pods and volumes are given up

# --- pods (api/core/v1/annotation_key_constants.go, pkg/kubelet/types/pod_update.go) ---

MIRROR_POD_ANNOTATION: Final = "kubernetes.io/config.mirror"  # an API pod that shows a static one
CONFIG_SOURCE_ANNOTATION: Final = "kubernetes.io/config.source"
CONFIG_FIRST_SEEN_ANNOTATION: Final = "kubernetes.io/config.seen"
CONFIG_HASH_ANNOTATION: Final = "kubernetes.io/config.hash"
POD_DELETION_COST: Final = "controller.kubernetes.io/pod-deletion-cost"
APP_ARMOR_CONTAINER_ANNOTATION_PREFIX: Final = "container.apparmor.security.beta.kubernetes.io/"  # + container's name

# --- all kinds (api/core/v1/annotation_key_constants.go, client-go/tools/leaderelection/resourcelock) ---

LAST_APPLIED_CONFIG_ANNOTATION: Final = "kubectl.kubernetes.io/last-applied-configuration"
# On locks of old elections, which are no endpoints.
LEADER_ELECTION_RECORD_ANNOTATION: Final = "control-plane.alpha.kubernetes.io/leader"

# --- workloads (api/apps/v1/types.go, api/batch/v1/types.go) ---

CONTROLLER_REVISION_HASH_LABEL: Final = "controller-revision-hash"  # of pods: the revision's name, or its hash
CONTROLLER_UID_LABEL: Final = "batch.kubernetes.io/controller-uid"
JOB_NAME_LABEL: Final = "batch.kubernetes.io/job-name"
LEGACY_CONTROLLER_UID_LABEL: Final = "controller-uid"  # without a domain, as they were before 1.27
LEGACY_JOB_NAME_LABEL: Final = "job-name"

# --- services and endpoints (api/core/v1, api/discovery/v1, api/networking/v1: well_known_labels.go) ---

LABEL_SERVICE_NAME: Final = "kubernetes.io/service-name"  # whose a slice is
LABEL_SKIP_MIRROR: Final = "endpointslice.kubernetes.io/skip-mirror"  # with "true" no slices are made of endpoints
IS_HEADLESS_SERVICE: Final = "service.kubernetes.io/headless"
LOAD_BALANCER_CLEANUP_FINALIZER: Final = "service.kubernetes.io/load-balancer-cleanup"
LABEL_NODE_EXCLUDE_BALANCERS: Final = "node.kubernetes.io/exclude-from-external-load-balancers"
LABEL_SERVICE_PROXY_NAME: Final = "service.kubernetes.io/service-proxy-name"
ANNOTATION_TOPOLOGY_MODE: Final = "service.kubernetes.io/topology-mode"
ANNOTATION_TOPOLOGY_AWARE_HINTS: Final = "service.kubernetes.io/topology-aware-hints"  # its name before 1.27
ENDPOINTS_LAST_CHANGE_TRIGGER_TIME: Final = "endpoints.kubernetes.io/last-change-trigger-time"
ENDPOINTS_OVER_CAPACITY: Final = "endpoints.kubernetes.io/over-capacity"
ENDPOINTS_LABEL_MANAGED_BY: Final = "endpoints.kubernetes.io/managed-by"  # made from a service: no mirror's business
IP_ADDRESS_LABEL_FAMILY: Final = "ipaddress.kubernetes.io/ip-family"
IP_ADDRESS_LABEL_MANAGED_BY: Final = "ipaddress.kubernetes.io/managed-by"
ANNOTATION_INGRESS_CLASS: Final = "kubernetes.io/ingress.class"

# --- storage (component-helpers/storage/volume, pkg/volume/util, pkg/apis/storage/util) ---

BETA_STORAGE_CLASS_ANNOTATION: Final = "volume.beta.kubernetes.io/storage-class"  # goes before storageClassName
IS_DEFAULT_STORAGE_CLASS_ANNOTATION: Final = "storageclass.kubernetes.io/is-default-class"
BETA_IS_DEFAULT_STORAGE_CLASS_ANNOTATION: Final = "storageclass.beta.kubernetes.io/is-default-class"
ANN_BIND_COMPLETED: Final = "pv.kubernetes.io/bind-completed"
ANN_BOUND_BY_CONTROLLER: Final = "pv.kubernetes.io/bound-by-controller"
ANN_DYNAMICALLY_PROVISIONED: Final = "pv.kubernetes.io/provisioned-by"
ANN_SELECTED_NODE: Final = "volume.kubernetes.io/selected-node"
ANN_STORAGE_PROVISIONER: Final = "volume.kubernetes.io/storage-provisioner"
ANN_BETA_STORAGE_PROVISIONER: Final = "volume.beta.kubernetes.io/storage-provisioner"
# Not by the node.
CONTROLLER_MANAGED_ATTACH_ANNOTATION: Final = "volumes.kubernetes.io/controller-managed-attach-detach"
PVC_PROTECTION_FINALIZER: Final = "kubernetes.io/pvc-protection"
PV_PROTECTION_FINALIZER: Final = "kubernetes.io/pv-protection"

# --- secrets (api/core/v1/types.go, cluster-bootstrap/token/api/types.go) ---

SECRET_TYPE_SERVICE_ACCOUNT_TOKEN: Final = "kubernetes.io/service-account-token"
SERVICE_ACCOUNT_NAME_KEY: Final = "kubernetes.io/service-account.name"
SECRET_TYPE_BOOTSTRAP_TOKEN: Final = "bootstrap.kubernetes.io/token"
BOOTSTRAP_TOKEN_SECRET_PREFIX: Final = "bootstrap-token-"  # + the token's id is the secret's name
BOOTSTRAP_TOKEN_ID_KEY: Final = "token-id"
BOOTSTRAP_TOKEN_SECRET_KEY: Final = "token-secret"

# --- signers of certificates (api/certificates/v1/types.go, v1beta1 for the last) ---

KUBE_API_SERVER_CLIENT_SIGNER: Final = "kubernetes.io/kube-apiserver-client"
KUBE_API_SERVER_CLIENT_KUBELET_SIGNER: Final = "kubernetes.io/kube-apiserver-client-kubelet"
KUBELET_SERVING_SIGNER: Final = "kubernetes.io/kubelet-serving"
LEGACY_UNKNOWN_SIGNER: Final = "kubernetes.io/legacy-unknown"

# --- users and groups (apiserver/pkg/authentication/user/user.go, .../serviceaccount/util.go) ---

SYSTEM_PRIVILEGED_GROUP: Final = "system:masters"  # may do everything, by the authorizer and not by a role
NODES_GROUP: Final = "system:nodes"
ALL_AUTHENTICATED: Final = "system:authenticated"
ALL_UNAUTHENTICATED: Final = "system:unauthenticated"
ANONYMOUS_USER: Final = "system:anonymous"
KUBE_CONTROLLER_MANAGER: Final = "system:kube-controller-manager"
KUBE_SCHEDULER: Final = "system:kube-scheduler"
NODE_USER_PREFIX: Final = "system:node:"  # + the node's name
SERVICE_ACCOUNT_USERNAME_PREFIX: Final = "system:serviceaccount:"  # + namespace:name
ALL_SERVICE_ACCOUNTS_GROUP: Final = "system:serviceaccounts"
SERVICE_ACCOUNT_GROUP_PREFIX: Final = "system:serviceaccounts:"  # + the namespace
