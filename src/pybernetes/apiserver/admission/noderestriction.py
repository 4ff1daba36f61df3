"""Admission NodeRestriction: a kubelet writes its own node, and pods that are on it (upstream: plugin/pkg/admission/noderestriction)."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from typing import Any

from pybernetes.api import errors, nodelabels
from pybernetes.api.errors import StatusError
from pybernetes.api.wellknown import (
    KUBE_API_SERVER_CLIENT_KUBELET_SIGNER,
    KUBELET_SERVING_SIGNER,
    MIRROR_POD_ANNOTATION,
)

from ..authorization.modes import Authorizers
from ..authorization.node import LEASES, identity
from ..authorization.podrefs import references
from ..types import EVERYTHING, Attributes, Reader, RequestInfo
from .certificates import subject

RESTRICTED = "node-restriction.kubernetes.io"
AUDIENCE_VERB = "request-serviceaccounts-token-audience"
KUBELET_SIGNERS = (KUBE_API_SERVER_CLIENT_KUBELET_SIGNER, KUBELET_SERVING_SIGNER)
REFERENCES = {
    "secrets": "reference secrets",
    "configmaps": "reference configmaps",
    "persistentvolumeclaims": "reference persistentvolumeclaims",
    "resourceclaims": "reference resourceclaims",
    "serviceaccounts": "reference a service account",
}

Object = dict[str, Any]


def forbidden_labels(new: Mapping[str, str], old: Mapping[str, str]) -> list[str]:
    """Labels that differ, and that no node may change."""
    changed = {key for key in (*new, *old) if new.get(key) != old.get(key)}
    return sorted(key for key in changed if not _allowed(key))


def _allowed(key: str) -> bool:
    domain = key.rpartition("/")[0]
    return not nodelabels.within(domain, RESTRICTED) and nodelabels.may_set(key)


def audiences(pod: Object, reader: Reader) -> set[str]:
    """Of the tokens in a pod's projected volumes, and of those that the CSI drivers of its other volumes are given."""
    result: set[str] = set()
    drivers: set[str] = set()
    for volume in (pod.get("spec") or {}).get("volumes") or ():
        for source in (volume.get("projected") or {}).get("sources") or ():
            if token := source.get("serviceAccountToken"):
                result.add(token.get("audience", ""))
        if csi := volume.get("csi"):
            drivers.add(csi.get("driver", ""))
        drivers.add(_driver(pod, volume, reader))
    for name in drivers - {""}:
        driver = reader.get("storage.k8s.io", "csidrivers", "", name) or {}
        result |= {t.get("audience", "") for t in (driver.get("spec") or {}).get("tokenRequests") or ()}
    return result


def _driver(pod: Object, volume: Object, reader: Reader) -> str:
    """Of the volume behind a claim."""
    name = (volume.get("persistentVolumeClaim") or {}).get("claimName", "")
    if volume.get("ephemeral") is not None:
        name = f"{pod['metadata']['name']}-{volume['name']}"
    claim = reader.get("", "persistentvolumeclaims", pod["metadata"].get("namespace", ""), name) if name else None
    bound = ((claim or {}).get("spec") or {}).get("volumeName", "")
    persistent_volume = reader.get("", "persistentvolumes", "", bound) if bound else None
    return str((((persistent_volume or {}).get("spec") or {}).get("csi") or {}).get("driver", ""))


def refused(attributes: Attributes, why: str) -> StatusError:
    """403."""
    resource = attributes.resource
    return errors.forbidden(resource.group, resource.name, attributes.told_name, why)


class NodeRestriction:
    """See the module; who is no node is let through."""

    name = "NodeRestriction"
    resources = EVERYTHING

    def __init__(self, reader: Reader, authorizers: Authorizers) -> None:
        self._reader, self._authorizers = reader, authorizers

    def admit(self, attributes: Attributes) -> Awaitable[None] | None:
        """Nothing is filled in; it is asked before validation, as upstream's."""
        node = identity(attributes.user)
        if node is None:
            return None
        if not node:
            raise refused(attributes, f'could not determine node from user "{attributes.user.name}"')
        match attributes.resource.group, attributes.resource.name:
            case "", "pods":
                self._pod(node, attributes)
            case "", "nodes":
                self._node(node, attributes)
            case "", "persistentvolumeclaims":
                self._claim(node, attributes)
            case "", "serviceaccounts":
                return self._token(node, attributes)
            case "coordination.k8s.io", "leases":
                self._lease(node, attributes)
            case "storage.k8s.io", "csinodes":
                if _named(attributes) != node:
                    why = "can only access CSINode with the same name as the requesting node"
                    raise refused(attributes, why)
            case "certificates.k8s.io", "certificatesigningrequests":
                self._request(attributes)
        return None

    def validate(self, attributes: Attributes) -> None:
        """Nothing more."""

    # Pods.

    def _pod(self, node: str, attributes: Attributes) -> None:
        match attributes.subresource, attributes.operation:
            case "", "CREATE":
                self._create_pod(node, attributes)
            case "", "DELETE":
                self._on_node(node, attributes, f'node "{node}" can only delete pods with spec.nodeName set to itself')
            case "", operation:
                why = f'unexpected operation "{operation}", node "{node}" can only create and delete mirror pods'
                raise refused(attributes, why)
            case "status", _:
                self._pod_status(node, attributes)
            case "eviction", _:
                self._on_node(node, attributes, f"node {node} can only evict pods with spec.nodeName set to itself")
            case subresource, _:
                why = f"unexpected pod subresource \"{subresource}\", only 'status' and 'eviction' are allowed"
                raise refused(attributes, why)

    def _on_node(self, node: str, attributes: Attributes, why: str) -> None:
        pod = attributes.old_object or self._reader.get("", "pods", attributes.namespace, attributes.name)
        if pod is None:
            raise errors.not_found("", "pods", attributes.name)
        if (pod.get("spec") or {}).get("nodeName") != node:
            raise refused(attributes, why)

    def _create_pod(self, node: str, attributes: Attributes) -> None:
        pod = attributes.object or {}
        metadata, spec = pod["metadata"], pod.get("spec") or {}
        if MIRROR_POD_ANNOTATION not in (metadata.get("annotations") or {}):
            why = f'pod does not have "{MIRROR_POD_ANNOTATION}" annotation, node "{node}" can only create mirror pods'
            raise refused(attributes, why)
        if spec.get("nodeName") != node:
            raise refused(attributes, f'node "{node}" can only create pods with spec.nodeName set to itself')
        self._owner(node, attributes, metadata.get("ownerReferences") or [])
        used = {resource for resource, name in references(pod) if name}
        for resource, words in REFERENCES.items():
            if resource in used:
                raise refused(attributes, f'node "{node}" can not create pods that {words}')

    def _owner(self, node: str, attributes: Attributes, owners: list[Object]) -> None:
        prefix = f'node "{node}" can only create pods with'
        if len(owners) > 1:
            raise refused(attributes, f"{prefix} a single owner reference set to itself")
        owner = owners[0] if owners else {}
        if (owner.get("apiVersion"), owner.get("kind"), owner.get("name")) != ("v1", "Node", node):
            raise refused(attributes, f"{prefix} an owner reference set to itself")
        if not owner.get("controller"):
            raise refused(attributes, f"{prefix} a controller owner reference set to itself")
        if owner.get("blockOwnerDeletion"):
            raise refused(attributes, f'node "{node}" must not set blockOwnerDeletion on an owner reference')
        registered = self._reader.get("", "nodes", "", node)
        if registered is None:
            raise errors.not_found("", "nodes", node)
        uid = registered["metadata"]["uid"]
        if owner.get("uid") != uid:
            raise refused(attributes, f"node {node} UID mismatch: expected {uid} got {owner.get('uid', '')}")

    def _pod_status(self, node: str, attributes: Attributes) -> None:
        new, old = attributes.object or {}, attributes.old_object or {}
        if (old.get("spec") or {}).get("nodeName") != node:
            why = f'node "{node}" can only update pod status for pods with spec.nodeName set to itself'
            raise refused(attributes, why)
        if (new["metadata"].get("labels") or {}) != (old["metadata"].get("labels") or {}):
            raise refused(attributes, f'node "{node}" cannot update labels through pod status')
        if _claims(new) != _claims(old):
            raise refused(attributes, f'node "{node}" cannot update resource claim statuses')

    # Others.

    def _node(self, node: str, attributes: Attributes) -> None:
        new, old = attributes.object, attributes.old_object
        labels = (new["metadata"].get("labels") or {}) if new else {}
        if attributes.operation == "CREATE":
            wrong = forbidden_labels(labels, {})
            if wrong:
                why = f'node "{node}" is not allowed to set the following labels: {", ".join(wrong)}'
                raise refused(attributes, why)
        if _named(attributes) != node:
            raise refused(attributes, f'node "{node}" is not allowed to modify node "{_named(attributes)}"')
        if attributes.operation != "UPDATE" or new is None or old is None:
            return
        if ((new.get("spec") or {}).get("taints") or []) != ((old.get("spec") or {}).get("taints") or []):
            raise refused(attributes, f'node "{node}" is not allowed to modify taints')
        if (new["metadata"].get("ownerReferences") or []) != (old["metadata"].get("ownerReferences") or []):
            raise refused(attributes, f'node "{node}" is not allowed to modify ownerReferences')
        wrong = forbidden_labels(labels, old["metadata"].get("labels") or {})
        if wrong:
            raise refused(attributes, f"is not allowed to modify labels: {', '.join(wrong)}")

    def _claim(self, node: str, attributes: Attributes) -> None:
        if attributes.subresource != "status" or attributes.operation != "UPDATE":
            why = f'node "{node}" may only update PVC status, not "{attributes.operation}" "{attributes.subresource}"'
            raise refused(attributes, why)
        new, old = (
            {k: v for k, v in (o or {}).items() if k != "status"} for o in (attributes.object, attributes.old_object)
        )
        if {**new, "metadata": _meta(new)} != {**old, "metadata": _meta(old)}:
            raise refused(attributes, f'node "{node}" is not allowed to update fields other than status')

    async def _token(self, node: str, attributes: Attributes) -> None:
        """Tokens are for pods of the node alone."""
        if attributes.operation != "CREATE" or attributes.subresource != "token":
            return
        reference = ((attributes.object or {}).get("spec") or {}).get("boundObjectRef") or {}
        name, uid = reference.get("name", ""), reference.get("uid", "")
        if (reference.get("apiVersion"), reference.get("kind")) != ("v1", "Pod") or not name:
            raise refused(attributes, "node requested token not bound to a pod")
        if not uid:
            raise refused(attributes, "node requested token with a pod binding without a uid")
        pod = self._reader.get("", "pods", attributes.namespace, name)
        if pod is None:
            raise errors.not_found("", "pods", name)
        if uid != pod["metadata"]["uid"]:
            why = (
                f"the UID in the bound object reference ({uid}) does not match the UID in record. "
                "The object might have been deleted and then recreated"
            )
            raise refused(attributes, why)
        if (pod.get("spec") or {}).get("nodeName") != node:
            raise refused(attributes, "node requested token bound to a pod scheduled on a different node")
        await self._audience(attributes, pod, ((attributes.object or {}).get("spec") or {}).get("audiences") or [])

    async def _audience(self, attributes: Attributes, pod: Object, asked: list[str]) -> None:
        """For whom the pod's volumes want tokens, or whom RBAC lets nodes ask for."""
        if len(asked) > 1:
            raise refused(attributes, "node may only request 0 or 1 audiences")
        audience = asked[0] if asked else ""
        if audience in audiences(pod, self._reader):
            return
        info = RequestInfo(
            AUDIENCE_VERB,
            "",
            is_resource=True,
            version="v1",
            resource=audience,
            namespace=attributes.namespace,
            name=attributes.name,
        )
        if not (await self._authorizers.authorize(attributes.user, info)).allowed:
            raise refused(attributes, f'audience "{audience}" not found in pod spec volume')

    def _lease(self, node: str, attributes: Attributes) -> None:
        if attributes.namespace != LEASES:
            raise refused(attributes, f'can only access leases in the "{LEASES}" system namespace')
        if _named(attributes) != node:
            raise refused(attributes, "can only access node lease with the same name as the requesting node")

    @staticmethod
    def _request(attributes: Attributes) -> None:
        """A node asks for certificates of its own name."""
        spec = (attributes.object or {}).get("spec") or {}
        if attributes.operation != "CREATE" or attributes.subresource or spec.get("signerName") not in KUBELET_SIGNERS:
            return
        try:
            name, _ = subject(spec.get("request", ""))
        except ValueError as error:
            raise refused(attributes, f"unable to parse csr: {error}") from None
        if name != attributes.user.name:
            raise refused(attributes, f"can only create a node CSR with CN={attributes.user.name}")


def _named(attributes: Attributes) -> str:
    """The name that the object has or shall have."""
    if attributes.operation == "CREATE" and attributes.object is not None:
        return str(attributes.object["metadata"].get("name", ""))
    return attributes.name


def _meta(obj: Object) -> Object:
    return {k: v for k, v in (obj.get("metadata") or {}).items() if k not in ("managedFields", "resourceVersion")}


def _claims(pod: Object) -> Any:
    return (pod.get("status") or {}).get("resourceClaimStatuses") or []
