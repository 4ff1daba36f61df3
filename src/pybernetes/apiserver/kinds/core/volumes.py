"""Volumes of pods and what they come from (upstream: core validation, validateVolumeSource)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pybernetes.api import field
from pybernetes.api.field import Path
from pybernetes.api.names import dns1123_subdomain_errors, label_key_errors

from ..meta import validate_annotations
from ..validation import (
    Errors,
    descending_path,
    dns_label,
    dns_subdomain,
    each,
    enum,
    file_mode,
    label_map,
    no_backsteps,
    quantity,
    unreserved_path,
)
from .claims import claim_spec
from .projections import CERTIFICATE_PATHS, pod_certificate, trust_bundle

Object = Mapping[str, Any]
Check = Callable[[Path, Object], Errors]

ONE_TYPE = "may not specify more than 1 volume type"
HOST_PATH_TYPES = ("", "BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket")


def volumes(
    path: Path, items: Sequence[Object], pod_name: str, *, in_pod: bool = True
) -> tuple[dict[str, Object], Errors]:
    """The good ones by name, and the errors. `pod_name` is "" for templates, of which `in_pod` is false."""
    errors: Errors = []
    by_name: dict[str, Object] = {}
    created = {f"{pod_name}-{v.get('name', '')}" for v in items if pod_name and v.get("ephemeral") is not None}
    for index, volume in enumerate(items):
        at, name = path / index, volume.get("name") or ""
        own = volume_source(at, volume, name, pod_name)
        if not in_pod:  # a template may leave the image to others
            own = [error for error in own if error != field.required(at / "image" / "reference")]
        own += dns_label(at / "name", name) if name else [field.required(at / "name")]
        if name in by_name:
            own.append(field.duplicate(at / "name", name))
        if own:
            errors += own
        else:
            by_name[name] = volume
        claim = (volume.get("persistentVolumeClaim") or {}).get("claimName")
        if claim and claim in created:
            why = "must not reference a PVC that gets created for an ephemeral volume"
            errors.append(field.invalid(at / "persistentVolumeClaim" / "claimName", claim, why))
    return by_name, errors


def volume_source(path: Path, volume: Object, name: str, pod_name: str) -> Errors:
    """Exactly one type of source, and that one in order."""
    errors: Errors = []
    count = 0
    if (directory := volume.get("emptyDir")) is not None:
        count = 1
        limit = directory.get("sizeLimit")
        if limit is not None and quantity(limit).nanos < 0:
            why = "SizeLimit field must be a valid resource quantity"
            errors.append(field.forbidden(path / "emptyDir" / "sizeLimit", why))
    for key, (shown, check) in _SOURCES.items():
        source = volume.get(key)
        if source is None:
            continue
        if count:
            errors.append(field.forbidden(path / _SECOND.get(key, key), ONE_TYPE))
            continue
        count = 1
        errors += check(path / shown, source)
        if key == "iscsi" and source.get("initiatorName") is not None:
            errors += _iscsi_length(path / "name", name, name, source)
        if key == "ephemeral" and pod_name and name:
            claim = f"{pod_name}-{name}"
            messages = [f"PVC name {field.quote(claim)}: {e}" for e in dns1123_subdomain_errors(claim)]
            errors += each(path / "name", name, messages)
    if not count:
        errors.append(field.required(path, "must specify a volume type"))
    return errors


def needed(*names: str) -> Check:
    """A check that the fields are there."""

    def check(path: Path, source: Object) -> Errors:
        return [field.required(path / name) for name in names if not source.get(name)]

    return check


# --- files from objects -------------------------------------------------------------------------


def host_path(path: Path, source: Object) -> Errors:
    """Of volumes and persistent volumes."""
    target, sort = source.get("path") or "", source.get("type")
    if not target:
        return [field.required(path / "path")]
    errors = no_backsteps(path / "path", target)
    if sort is not None and sort not in HOST_PATH_TYPES:
        errors.append(field.not_supported(path / "type", sort, HOST_PATH_TYPES))
    return errors


def _keyed(name: str) -> Check:
    def check(path: Path, source: Object) -> Errors:
        errors = [] if source.get(name) else [field.required(path / name)]
        errors += file_mode(path / "defaultMode", source.get("defaultMode"))
        for index, item in enumerate(source.get("items") or ()):
            errors += _key_to_path(path / "items" / index, item)
        return errors

    return check


def _key_to_path(path: Path, item: Object) -> Errors:
    errors = needed("key", "path")(path, item)
    errors += unreserved_path(path / "path", item.get("path") or "")
    return errors + file_mode(path / "mode", item.get("mode"))


def _git_repo(path: Path, source: Object) -> Errors:
    return needed("repository")(path, source) + descending_path(path / "directory", source.get("directory") or "")


DOWNWARD_FILE_FIELDS = (
    "metadata.annotations",
    "metadata.labels",
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
)


def _downward(path: Path, source: Object) -> Errors:
    errors = file_mode(path / "defaultMode", source.get("defaultMode"))
    for item in source.get("items") or ():
        errors += _downward_file(path, item)
    return errors


def _downward_file(path: Path, item: Object) -> Errors:
    target = item.get("path") or ""
    errors = [] if target else [field.required(path / "path")]
    errors += unreserved_path(path / "path", target)
    by_field, by_resource = item.get("fieldRef"), item.get("resourceFieldRef")
    if by_field is not None:
        errors += field_ref(path / "fieldRef", by_field, DOWNWARD_FILE_FIELDS)
        if by_resource is not None:
            why = "fieldRef and resourceFieldRef can not be specified simultaneously"
            errors.append(field.invalid(path, "resource", why))
    elif by_resource is not None:
        errors += resource_field_ref(path / "resourceFieldRef", by_resource, in_volume=True)
    else:
        errors.append(field.required(path, "one of fieldRef and resourceFieldRef is required"))
    return errors + file_mode(path / "mode", item.get("mode"))


_PROJECTIONS = ("secret", "configMap", "downwardAPI", "serviceAccountToken", "clusterTrustBundle", "podCertificate")


def _projected(path: Path, source: Object) -> Errors:
    errors = file_mode(path / "defaultMode", source.get("defaultMode"))
    taken: set[str] = set()
    for index, part in enumerate(source.get("sources") or ()):
        at, count = path / "sources" / index, 0
        for kind in _PROJECTIONS:
            if (inner := part.get(kind)) is not None:
                count += 1
                errors += _projection(path, at / kind, kind, inner, taken)
        if count > 1:
            errors.append(field.forbidden(at, "may not specify more than 1 volume type per source"))
    return errors


def _projection(volume: Path, path: Path, kind: str, source: Object, taken: set[str]) -> Errors:
    errors: Errors = []
    if kind in ("secret", "configMap"):
        name = source.get("name") or ""
        errors += [] if name else [field.required(path / "name")]
        for index, item in enumerate(source.get("items") or ()):
            errors += _key_to_path(path / "items" / index, item)
            errors += _taken(volume, item.get("path") or "", name, taken)
    elif kind == "downwardAPI":
        for item in source.get("items") or ():
            errors += _downward_file(path, item)
            errors += _taken(volume, item.get("path") or "", item.get("path") or "", taken)
    elif kind == "serviceAccountToken":
        errors += _token(volume, path, source)
    elif kind == "podCertificate":
        errors += pod_certificate(path, source)
        for target in filter(None, (source.get(name) for name in CERTIFICATE_PATHS)):
            errors += _taken(volume, target, target, taken)
    else:
        errors += trust_bundle(path, source)
        errors += _taken(volume, source.get("path") or "", source.get("path") or "", taken)
    return errors


def _taken(path: Path, target: str, shown: str, taken: set[str]) -> Errors:
    if target and target in taken:
        return [field.invalid(path, shown, "conflicting duplicate paths")]
    taken.add(target)
    return []


def _token(volume: Path, path: Path, source: Object) -> Errors:
    errors: Errors = []
    seconds = source.get("expirationSeconds") or 0
    if seconds < 600:
        why = "may not specify a duration less than 10 minutes"
        errors.append(field.invalid(path / "expirationSeconds", seconds, why))
    if seconds > 1 << 32:
        why = "may not specify a duration larger than 2^32 seconds"
        errors.append(field.invalid(path / "expirationSeconds", seconds, why))
    target = source.get("path") or ""
    return errors + (unreserved_path(volume / "path", target) if target else [field.required(volume / "path")])


# --- references to fields (also of environment variables) ----------------------------------------

POD_FIELDS = frozenset(
    {
        *("metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace", "metadata.uid"),
        *("spec.nodeName", "spec.restartPolicy", "spec.serviceAccountName", "spec.schedulerName", "spec.host"),
        *("status.phase", "status.hostIP", "status.hostIPs", "status.podIP", "status.podIPs"),
    }
)
RESOURCE_FIELDS = tuple(f"{k}.{r}" for k in ("limits", "requests") for r in ("cpu", "ephemeral-storage", "memory"))
_UNITS = frozenset(
    {"1", "1k", "1M", "1G", "1T", "1P", "1E", "1Ki", "1Mi", "1Gi", "1Ti", "1Pi", "1Ei"},
)
_UNITS_TEXT = "only divisor's values 1, 1k, 1M, 1G, 1T, 1P, 1E, 1Ki, 1Mi, 1Gi, 1Ti, 1Pi, 1Ei are supported with the"


def subscripted(path: str) -> tuple[str, str] | None:
    """(`metadata.labels`, `a`) of `metadata.labels['a']` (upstream: pkg/fieldpath SplitMaybeSubscriptedPath)."""
    whole, bracket, key = path.partition("['")
    return (whole, key[:-2]) if whole and bracket and key.endswith("']") else None


def field_ref(path: Path, ref: Object, allowed: Sequence[str]) -> Errors:
    """An ObjectFieldSelector that may name one of the fields, or a key of labels and annotations."""
    version, name = ref.get("apiVersion") or "", ref.get("fieldPath") or ""
    if not version:
        return [field.required(path / "apiVersion")]
    if not name:
        return [field.required(path / "fieldPath")]
    at = path / "fieldPath"
    if version != "v1":
        return [field.invalid(at, name, f"error converting fieldPath: unsupported pod version: {version}")]
    if parts := subscripted(name):
        whole, key = parts
        if whole not in ("metadata.annotations", "metadata.labels"):
            why = f"error converting fieldPath: field label does not support subscript: {name}"
            return [field.invalid(at, name, why)]
        key = key.lower() if whole == "metadata.annotations" else key
        return each(path, key, label_key_errors(key))
    if name not in POD_FIELDS:
        return [field.invalid(at, name, f"error converting fieldPath: field label not supported: {name}")]
    label = "spec.nodeName" if name == "spec.host" else name
    return [] if label in allowed else [field.not_supported(at, label, allowed)]


def resource_field_ref(path: Path, ref: Object, *, in_volume: bool) -> Errors:
    """A ResourceFieldSelector; in a volume it must say which container is meant."""
    errors: Errors = []
    name = ref.get("resource") or ""
    huge = name.startswith(("limits.hugepages-", "requests.hugepages-"))
    if in_volume and not ref.get("containerName"):
        errors.append(field.required(path / "containerName"))
    elif not name:
        errors.append(field.required(path / "resource"))
    elif name not in RESOURCE_FIELDS and not huge:
        errors.append(field.not_supported(path / "resource", name, RESOURCE_FIELDS))
    divisor = ref.get("divisor") or "0"
    if quantity(divisor).is_zero():
        return errors
    at = path / "divisor"
    if name.endswith(".cpu"):
        if divisor not in ("1m", "1"):
            why = "only divisor's values 1m and 1 are supported with the cpu resource"
            errors.append(field.invalid(at, name, why))
    elif divisor not in _UNITS and (name in RESOURCE_FIELDS or huge):
        sort = "hugepages" if huge else "memory" if name.endswith(".memory") else "local ephemeral storage"
        errors.append(field.invalid(at, name, f"{_UNITS_TEXT} {sort} resource"))
    return errors


# --- storage systems ----------------------------------------------------------------------------

_INITIATORS = {
    "iqn": re.compile(r"iqn\.[0-9]{4}-[0-9]{2}\.([a-zA-Z0-9.-]+)(:[^,;*&$|\s]+)$"),
    "eui": re.compile(r"^eui.[a-zA-Z0-9]{16}$"),
    "naa": re.compile(r"^naa.[a-zA-Z0-9]{32}$"),
}


def _initiator(path: Path, name: str) -> Errors:
    pattern = _INITIATORS.get(name[:3])
    if pattern is None:
        return [field.invalid(path, name, "must be valid format starting with iqn, eui, or naa")]
    return [] if pattern.search(name) else [field.invalid(path, name, "must be valid format")]


def iscsi(path: Path, source: Object) -> Errors:
    """Of volumes and persistent volumes."""
    errors = needed("targetPortal")(path, source)
    iqn, lun = source.get("iqn") or "", source.get("lun") or 0
    errors += _initiator(path / "iqn", iqn) if iqn else [field.required(path / "iqn")]
    if not 0 <= lun <= 255:
        errors.append(field.invalid(path / "lun", lun, "must be between 0 and 255, inclusive"))
    secret = source.get("secretRef")
    if (source.get("chapAuthDiscovery") or source.get("chapAuthSession")) and secret is None:
        errors.append(field.required(path / "secretRef"))
    if (name := source.get("initiatorName")) is not None:
        errors += _initiator(path / "initiatorname", name)
    return errors


def _iscsi_length(path: Path, shown: str, name: str, source: Object) -> Errors:
    if len(f"{name}:{source.get('targetPortal') or ''}") <= 64:
        return []
    why = (
        "Total length of <volume name>:<iscsi.targetPortal> must be under 64 characters "
        "if iscsi.initiatorName is specified."
    )
    return [field.invalid(path, shown, why)]


def fibre_channel(path: Path, source: Object) -> Errors:
    """Of volumes and persistent volumes."""
    errors: Errors = []
    targets, wwids, lun = source.get("targetWWNs") or [], source.get("wwids") or [], source.get("lun")
    if not targets and not wwids:
        why = "must specify either targetWWNs or wwids, but not both"
        errors.append(field.required(path / "targetWWNs", why))
    if targets and wwids:
        why = "targetWWNs and wwids can not be specified simultaneously"
        errors.append(field.invalid(path / "targetWWNs", targets, why))
    if targets and lun is None:
        errors.append(field.required(path / "lun", "lun is required if targetWWNs is specified"))
    elif targets and not 0 <= (lun or 0) <= 255:
        errors.append(field.invalid(path / "lun", lun, "must be between 0 and 255, inclusive"))
    return errors


def disk(name: str) -> Check:
    """A disk with partitions, named by the field."""

    def check(path: Path, source: Object) -> Errors:
        errors = needed(name)(path, source)
        partition = source.get("partition") or 0
        if not 0 <= partition <= 255:
            errors.append(field.invalid(path / "partition", partition, "must be between 1 and 255, inclusive"))
        return errors

    return check


def nfs(path: Path, source: Object) -> Errors:
    """Of volumes and persistent volumes."""
    errors = needed("server", "path")(path, source)
    target = source.get("path") or ""
    return (
        errors
        if target.startswith("/")
        else [*errors, field.invalid(path / "path", target, "must be an absolute path")]
    )


_HOST_PORT = re.compile(r"(?:\[[^\[\]]*\]|[^:\[\]]*):[^:\[\]]*", re.S)  # what Go's net.SplitHostPort takes


def quobyte(path: Path, source: Object) -> Errors:
    """Of volumes and persistent volumes."""
    errors: Errors = []
    registry = source.get("registry") or ""
    why = "must be a host:port pair or multiple pairs separated by commas"
    if not registry:
        errors.append(field.required(path / "registry", why))
    elif len(source.get("tenant") or "") >= 65:
        text = "must be a UUID and may not exceed a length of 64 characters"
        errors.append(field.required(path / "tenant", text))
    else:
        errors += [
            field.invalid(path / "registry", registry, why)
            for pair in registry.split(",")
            if not _HOST_PORT.fullmatch(pair)
        ]
    return errors + needed("volume")(path, source)


def flocker(path: Path, source: Object) -> Errors:
    """Of volumes and persistent volumes."""
    name, uid = source.get("datasetName") or "", source.get("datasetUUID") or ""
    errors: Errors = []
    if not name and not uid:
        errors.append(field.required(path, "one of datasetName and datasetUUID is required"))
    if name and uid:
        why = "datasetName and datasetUUID can not be specified simultaneously"
        errors.append(field.invalid(path, "resource", why))
    if "/" in name:
        errors.append(field.invalid(path / "datasetName", name, "must not contain '/'"))
    return errors


def flex_volume(path: Path, source: Object) -> Errors:
    """Of volumes and persistent volumes."""
    errors = needed("driver")(path, source)
    for key in source.get("options") or {}:
        if f".{key.partition('/')[0].lower()}".endswith((".kubernetes.io", ".k8s.io")):
            why = "kubernetes.io and k8s.io namespaces are reserved"
            errors.append(field.invalid((path / "options").key(key), key, why))
    return errors


_MANAGED = "/subscriptions/{sub-id}/resourcegroups/{group-name}/providers/microsoft.compute/disks/{disk-id}"
_BLOB = "https://{account-name}.blob.core.windows.net/{container-name}/{disk-name}.vhd"


def azure_disk(path: Path, source: Object) -> Errors:
    """Of volumes and persistent volumes."""
    errors = needed("diskName", "diskURI")(path, source)
    uri, kind, caching = source.get("diskURI") or "", source.get("kind"), source.get("cachingMode")
    if caching not in (None, "None", "ReadOnly", "ReadWrite"):
        errors.append(field.not_supported(path / "cachingMode", caching, ("None", "ReadOnly", "ReadWrite")))
    if kind not in (None, "Dedicated", "Managed", "Shared"):
        errors.append(field.not_supported(path / "kind", kind, ("Dedicated", "Managed", "Shared")))
    if kind == "Managed" and not uri.startswith("/subscriptions/"):
        errors.append(field.not_supported(path / "diskURI", uri, (_MANAGED,)))
    if kind not in (None, "Managed") and not uri.startswith("https://"):
        errors.append(field.not_supported(path / "diskURI", uri, (_BLOB,)))
    return errors


def storage_os(path: Path, source: Object) -> Errors:
    """Of volumes and persistent volumes."""
    name = source.get("volumeName") or ""
    errors = dns_label(path / "volumeName", name) if name else [field.required(path / "volumeName")]
    if namespace := source.get("volumeNamespace"):
        errors += dns_label(path / "volumeNamespace", namespace)
    return errors + secret_ref("secretRef", "name")(path, source)


def secret_ref(key: str, *names: str) -> Check:
    """Of a reference, if there is one, the fields are set."""

    def check(path: Path, source: Object) -> Errors:
        ref = source.get(key)
        return [] if ref is None else [field.required(path / key / name) for name in names if not ref.get(name)]

    return check


def both(*checks: Check) -> Check:
    """All the checks, in order."""
    return lambda path, source: [error for check in checks for error in check(path, source)]


def csi_driver_name(path: Path, name: str) -> Errors:
    """A name that a CSI driver may have."""
    errors = [] if name else [field.required(path)]
    errors += [field.too_long(path, 63)] if len(name.encode()) > 63 else []
    return errors + each(path, name, dns1123_subdomain_errors(name.lower()))


def _csi(path: Path, source: Object) -> Errors:
    errors = csi_driver_name(path / "driver", source.get("driver") or "")
    ref = source.get("nodePublishSecretRef")
    if ref is not None and not ref.get("name"):
        errors.append(field.required(path / "nodePublishSecretRef" / "name"))
    elif ref is not None:
        errors += dns_subdomain(path / "name", ref["name"])  # the path is upstream's
    return errors


_TEMPLATE_META = frozenset({"annotations", "labels", "creationTimestamp"})


def _ephemeral(path: Path, source: Object) -> Errors:
    at = path / "volumeClaimTemplate"
    template = source.get("volumeClaimTemplate")
    if template is None:
        return [field.required(at)]
    meta = template.get("metadata") or {}
    errors = validate_annotations(meta.get("annotations") or {}, at / "metadata" / "annotations")
    errors += label_map(at / "metadata" / "labels", meta.get("labels"))
    errors += [
        field.forbidden(at / "metadata" / key, "cannot be set")
        for key, value in meta.items()
        if value and key not in _TEMPLATE_META
    ]
    return errors + claim_spec(at / "spec", template.get("spec") or {})


def _image(path: Path, source: Object) -> Errors:
    errors = needed("reference")(path, source)
    return errors + enum(path / "pullPolicy", source.get("pullPolicy"), ("Always", "IfNotPresent", "Never"))


def storage_class(path: Path, name: str) -> Errors:
    """The name of a storage class."""
    return dns_subdomain(path, name)


# Field -> (how the path shows it, check); the order is upstream's.
_SOURCES: dict[str, tuple[str, Check]] = {
    "hostPath": ("hostPath", host_path),
    "gitRepo": ("gitRepo", _git_repo),
    "gcePersistentDisk": ("persistentDisk", disk("pdName")),
    "awsElasticBlockStore": ("awsElasticBlockStore", disk("volumeID")),
    "secret": ("secret", _keyed("secretName")),
    "nfs": ("nfs", nfs),
    "iscsi": ("iscsi", iscsi),
    "glusterfs": ("glusterfs", needed("endpoints", "path")),
    "flocker": ("flocker", flocker),
    "persistentVolumeClaim": ("persistentVolumeClaim", needed("claimName")),
    "rbd": ("rbd", needed("monitors", "image")),
    "cinder": ("cinder", both(needed("volumeID"), secret_ref("secretRef", "name"))),
    "cephfs": ("cephfs", needed("monitors")),
    "quobyte": ("quobyte", quobyte),
    "downwardAPI": ("downwardAPI", _downward),
    "fc": ("fc", fibre_channel),
    "flexVolume": ("flexVolume", flex_volume),
    "configMap": ("configMap", _keyed("name")),
    "azureFile": ("azureFile", needed("secretName", "shareName")),
    "vsphereVolume": ("vsphereVolume", needed("volumePath")),
    "photonPersistentDisk": ("photonPersistentDisk", needed("pdID")),
    "portworxVolume": ("portworxVolume", needed("volumeID")),
    "azureDisk": ("azureDisk", azure_disk),
    "storageos": ("storageos", storage_os),
    "projected": ("projected", _projected),
    "scaleIO": ("scaleIO", needed("gateway", "system", "volumeName")),
    "csi": ("csi", _csi),
    "ephemeral": ("ephemeral", _ephemeral),
    "image": ("image", _image),
}
_SECOND = {"cephfs": "cephFS", "downwardAPI": "downwarAPI"}  # upstream's spelling where it is the second type
