"""Defaults of pods and pod templates (upstream: pkg/apis/core/v1/defaults.go, conversion.go)."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from pybernetes.api import pods
from pybernetes.api.computeresources import is_huge_page, overcommit_allowed
from pybernetes.api.quantity import Quantity

from ..validation import quantity

Object = dict[str, Any]

_MILLI = 10**6  # nanos
_HOST = r"(?:localhost|[a-zA-Z0-9-]+(?:\.[a-zA-Z0-9-]+)+|[a-zA-Z0-9.-]+:[0-9]+|\[[a-fA-F0-9:]+\](?::[0-9]+)?)"
_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_IMAGE = re.compile(
    rf"(?:(?:{_HOST}|[a-z0-9-]+(?::[0-9]+)?)/)?(?P<name>{_COMPONENT}(?:/{_COMPONENT})*)"
    r"(?::(?P<tag>[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}))?(?P<digest>@[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,})?"
)

# What a reference can have at most: a host, a name of 255 bytes, a tag, a digest. Longer ones cannot be parsed.
_IMAGE_BYTES = 1024
_NAME_BYTES = 255  # behind the host
_LIBRARY = "library/"  # before the name of an image that names nothing else


@lru_cache(maxsize=4096)
def pull_policy(image: str) -> str:
    """Always for the tag latest, which an image without tag and digest has; also what cannot be parsed is left alone."""
    match = _IMAGE.fullmatch(image) if len(image) <= _IMAGE_BYTES else None
    if match is None or len(match["name"]) + (0 if "/" in image else len(_LIBRARY)) > _NAME_BYTES:
        return "IfNotPresent"
    tag = match["tag"] or ("" if match["digest"] else "latest")
    return "Always" if tag == "latest" else "IfNotPresent"


def rounded(amounts: dict[str, str] | None) -> None:
    """Resources are kept to a thousandth, rounded up."""
    if not amounts:
        return
    for name, text in amounts.items():
        if text[-1:] in ("n", "u"):
            given = quantity(text)
            amounts[name] = str(Quantity(-(-given.nanos // _MILLI) * _MILLI, given.format))


# --- containers ---------------------------------------------------------------------------------


def _http_get(action: Object | None) -> None:
    if action is not None:
        action["path"] = action.get("path") or "/"
        action["scheme"] = action.get("scheme") or "HTTP"


def _probe(probe: Object) -> None:
    probe["timeoutSeconds"] = probe.get("timeoutSeconds") or 1
    probe["periodSeconds"] = probe.get("periodSeconds") or 10
    probe["successThreshold"] = probe.get("successThreshold") or 1
    probe["failureThreshold"] = probe.get("failureThreshold") or 3
    _http_get(probe.get("httpGet"))
    if (grpc := probe.get("grpc")) is not None:
        grpc.setdefault("service", "")


def default_container(container: Object) -> None:
    """Of every sort: regular, init, ephemeral."""
    container.setdefault("resources", {})
    if not container.get("terminationMessagePath"):
        container["terminationMessagePath"] = "/dev/termination-log"
    if not container.get("terminationMessagePolicy"):
        container["terminationMessagePolicy"] = "File"
    if not container.get("imagePullPolicy"):
        container["imagePullPolicy"] = pull_policy(container.get("image") or "")
    for port in container.get("ports") or ():
        if not port.get("protocol"):
            port["protocol"] = "TCP"
    for variable in container.get("env") or ():
        if source := variable.get("valueFrom"):
            _field_refs(source)
            if (key := source.get("fileKeyRef")) is not None and key.get("optional") is None:
                key["optional"] = False
    for name in ("livenessProbe", "readinessProbe", "startupProbe"):
        if (probe := container.get(name)) is not None:
            _probe(probe)
    if lifecycle := container.get("lifecycle"):
        for handler in (lifecycle.get("postStart"), lifecycle.get("preStop")):
            if handler:
                _http_get(handler.get("httpGet"))
    if resources := container["resources"]:
        rounded(resources.get("limits"))
        rounded(resources.get("requests"))


def _field_refs(source: Object) -> None:
    if (ref := source.get("fieldRef")) is not None:
        ref["apiVersion"] = ref.get("apiVersion") or "v1"
    if (ref := source.get("resourceFieldRef")) is not None:
        ref.setdefault("divisor", "0")


# --- volumes ------------------------------------------------------------------------------------

_FILE_MODE = 0o644
_WITH_MODE = ("secret", "configMap", "downwardAPI", "projected")


def default_volume(volume: Object) -> None:
    """What holds nothing is an empty directory."""
    sources = [name for name, value in volume.items() if name != "name" and value is not None]
    if not sources:
        volume["emptyDir"] = {}
        return
    for name in sources:
        source = volume[name]
        if name in _WITH_MODE:
            _with_mode(name, source)
        elif name in _DEFAULTS:
            for key, value in _DEFAULTS[name].items():
                if source.get(key) is None or (source[key] == "" and name not in OF_POINTERS):
                    source[key] = value
        elif name == "image" and not source.get("pullPolicy"):
            source["pullPolicy"] = pull_policy(source.get("reference") or "")
        elif name == "ephemeral" and (template := source.get("volumeClaimTemplate")):
            spec = template.get("spec") or {}
            if spec.get("volumeMode") is None:
                spec["volumeMode"] = "Filesystem"


OF_POINTERS = ("azureDisk", "hostPath")  # Go's fields, to which "" is a value like others
_DEFAULTS: dict[str, Object] = {
    "hostPath": {"type": ""},
    "iscsi": {"iscsiInterface": "default"},
    "rbd": {"pool": "rbd", "user": "admin", "keyring": "/etc/ceph/keyring"},
    "azureDisk": {"cachingMode": "ReadWrite", "kind": "Shared", "fsType": "ext4", "readOnly": False},
    "scaleIO": {"storageMode": "ThinProvisioned", "fsType": "xfs"},
}


def _with_mode(name: str, source: Object) -> None:
    if source.get("defaultMode") is None:
        source["defaultMode"] = _FILE_MODE
    for item in source.get("items") or ():
        if name == "downwardAPI":
            _field_refs(item)
    for part in source.get("sources") or ():
        if (token := part.get("serviceAccountToken")) is not None and token.get("expirationSeconds") is None:
            token["expirationSeconds"] = 3600
        for item in (part.get("downwardAPI") or {}).get("items") or ():
            _field_refs(item)
        if (certificate := part.get("podCertificate")) is not None and certificate.get("maxExpirationSeconds") is None:
            certificate["maxExpirationSeconds"] = 86400


# --- pod specs ----------------------------------------------------------------------------------


def default_pod_spec(spec: Object) -> None:
    """Of pods and templates alike."""
    if not spec.get("dnsPolicy"):
        spec["dnsPolicy"] = "ClusterFirst"
    if not spec.get("restartPolicy"):
        spec["restartPolicy"] = "Always"
    if spec.get("securityContext") is None:
        spec["securityContext"] = {}
    if spec.get("terminationGracePeriodSeconds") is None:
        spec["terminationGracePeriodSeconds"] = 30
    if not spec.get("schedulerName"):
        spec["schedulerName"] = "default-scheduler"
    account = spec.get("serviceAccountName") or spec.get("serviceAccount")
    if account:
        spec["serviceAccountName"] = spec["serviceAccount"] = account  # the second is the name before 1.0
    for container in spec.get("containers") or ():
        default_container(container)
    for container in spec.get("initContainers") or ():
        default_container(container)
    for container in spec.get("ephemeralContainers") or ():
        default_container(container)
    for volume in spec.get("volumes") or ():
        default_volume(volume)
    rounded(spec.get("overhead"))


def default_template(template: Object) -> None:
    """A PodTemplateSpec."""
    default_pod_spec(template.setdefault("spec", {}))


def default_pod(pod: Object) -> None:
    """A pod: as its spec, and what must not show in templates."""
    spec = pod.setdefault("spec", {})
    default_pod_spec(spec)
    for kind in ("containers", "initContainers"):
        for container in spec.get(kind) or ():
            if limits := container["resources"].get("limits"):
                requests = container["resources"].setdefault("requests", {})
                for name, text in limits.items():
                    requests.setdefault(name, text)
    if spec.get("resources"):
        _pod_level(spec)
    if spec.get("enableServiceLinks") is None:
        spec["enableServiceLinks"] = True
    if spec["terminationGracePeriodSeconds"] < 0:
        spec["terminationGracePeriodSeconds"] = 1
    if spec.get("hostNetwork"):
        for container in (*(spec.get("containers") or ()), *(spec.get("initContainers") or ())):
            for port in container.get("ports") or ():
                port["hostPort"] = port.get("hostPort") or port.get("containerPort") or 0
    if status := pod.get("status"):
        _addresses(status, "podIP", "podIPs")


def _pod_level(spec: Object) -> None:
    """Requests of the pod as a whole come from its containers, or else from its limits."""
    resources = spec["resources"]
    _huge_page_limits(spec, resources)
    limits = resources.get("limits") or {}
    if not limits:
        return
    requests = dict(resources.get("requests") or {})
    for name, amount in pods.container_requests(pods.resources_of(spec)).items():
        if name in ("cpu", "memory") and overcommit_allowed(name):
            requests.setdefault(name, str(amount))
    for name, text in limits.items():
        if name in ("cpu", "memory") or is_huge_page(name):
            requests.setdefault(name, text)
    if requests:
        resources["requests"] = requests


def _huge_page_limits(spec: Object, resources: Object) -> None:
    """Limits of huge pages come from the containers, where the pod as a whole asks for something else."""
    limits, requests = dict(resources.get("limits") or {}), resources.get("requests") or {}
    if not limits and not requests:
        return
    for name, amount in pods.container_limits(pods.resources_of(spec)).items():
        if is_huge_page(name) and name not in requests:
            limits.setdefault(name, str(amount))
    if limits:
        resources["limits"] = limits


def _addresses(status: Object, one: str, many: str) -> None:
    """The single address and the first of the list are the same one; who writes only the single one is right."""
    single, listed = status.get(one) or "", status.get(many) or []
    if single and (not listed or listed[0].get("ip") != single):
        status[many] = [{"ip": single}]
    elif listed and not single:
        status[one] = listed[0].get("ip") or ""
