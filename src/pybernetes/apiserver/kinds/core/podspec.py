"""Checks of pod specs and pod templates (upstream: core validation, ValidatePodSpec and ValidatePodTemplateSpec)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from pybernetes.api import field
from pybernetes.api.field import Path
from pybernetes.api.names import label_key_errors
from pybernetes.api.wellknown import MIRROR_POD_ANNOTATION, POD_DELETION_COST

from ..meta import validate_annotations
from ..validation import (
    MAX_INT32,
    Errors,
    dns_label,
    dns_subdomain,
    each,
    enum,
    label_map,
    qualified_name,
    range_error,
    underscore_subdomain_errors,
    valid_ip,
)
from .affinity import affinity, spread_constraints, tolerations
from .containers import PodContext, ephemeral_containers, init_containers, regular_containers
from .podresources import pod_resources, resource_claims
from .profiles import all_containers, annotations_errors
from .resources import requirements
from .security import host_process, operating_system, pod_security_context
from .volumes import volumes

Object = Mapping[str, Any]

RESTART_POLICIES = ("Always", "OnFailure", "Never")
DNS_POLICIES = ("ClusterFirstWithHostNet", "ClusterFirst", "Default", "None")
PREEMPTION_POLICIES = ("PreemptLowerPriority", "Never")
MAX_NAMESERVERS, MAX_SEARCHES, MAX_SEARCH_CHARACTERS = 3, 32, 2048  # what libc can do
HOST_NAME_LENGTH = 64  # what the kernel keeps
_INT32 = re.compile(r"0|[+-]?[1-9][0-9]{0,9}")


def pod_spec(path: Path, spec: Object, *, pod_name: str = "", in_pod: bool = False, static: bool = False) -> Errors:
    """`in_pod`: it is the spec of a pod, `pod_name` its name, and not one of a template; `static`: of a mirror pod."""
    get = spec.get
    errors: Errors = []
    if get("terminationGracePeriodSeconds") is None:
        errors.append(field.required(path / "terminationGracePeriodSeconds"))
    pod_volumes: dict[str, Object] = {}
    if items := get("volumes"):
        pod_volumes, problems = volumes(path / "volumes", items, pod_name, in_pod=in_pod)
        errors += problems
    claims: set[str] = set()
    if items := get("resourceClaims"):
        claims = {claim["name"] for claim in items if claim.get("name")}
        errors += resource_claims(path / "resourceClaims", items, static=static)
    errors += _containers(path, spec, pod_volumes, claims)
    if (resources := get("resources")) is not None:
        errors += pod_resources(path / "resources", resources, spec)
    if get("hostNetwork"):
        errors += _host_network(path / "containers", get("containers") or (), in_pod)
    if get("restartPolicy") not in RESTART_POLICIES:
        errors += enum(path / "restartPolicy", get("restartPolicy"), RESTART_POLICIES)
    if get("dnsPolicy") not in DNS_POLICIES:
        errors += enum(path / "dnsPolicy", get("dnsPolicy"), DNS_POLICIES)
    errors += _placement(path, spec)
    return errors + _names_and_limits(path, spec) + _file_volumes(path, spec)


def _containers(path: Path, spec: Object, pod_volumes: Mapping[str, Object], claims: set[str]) -> Errors:
    grace = spec.get("terminationGracePeriodSeconds")
    host_users = spec.get("hostUsers") is not False
    system = None if spec.get("os") is None else spec["os"].get("name") or ""
    pod = PodContext(pod_volumes, claims, grace, spec.get("restartPolicy") or "", host_users, system)
    regular, init = spec.get("containers") or [], spec.get("initContainers") or []
    errors = regular_containers(path / "containers", regular, pod)
    if init:
        errors += init_containers(path / "initContainers", init, regular, pod)
    if ephemeral := spec.get("ephemeralContainers"):
        errors += ephemeral_containers(path / "ephemeralContainers", ephemeral, [*regular, *init], pod)
    return errors


def _placement(path: Path, spec: Object) -> Errors:
    get = spec.get
    errors: Errors = []
    if labels := get("nodeSelector"):
        errors += label_map(path / "nodeSelector", labels)
    errors += pod_security_context(path / "securityContext", get("securityContext") or {}, spec)
    if item := get("affinity"):
        errors += affinity(path / "affinity", item)
    if get("dnsConfig") is not None or get("dnsPolicy") == "None":
        errors += _dns_config(path / "dnsConfig", get("dnsConfig"), get("dnsPolicy") or "")
    for index, gate in enumerate(get("readinessGates") or ()):
        errors += qualified_name(path / "readinessGates" / index / "conditionType", gate.get("conditionType") or "")
    seen: set[str] = set()
    for index, gate in enumerate(get("schedulingGates") or ()):
        at, name = path / "schedulingGates" / index, gate.get("name") or ""
        errors += qualified_name(at, name)
        if name in seen:
            errors.append(field.duplicate(at, name))
        seen.add(name)
    if constraints := get("topologySpreadConstraints"):
        errors += spread_constraints(path / "topologySpreadConstraints", constraints)
    errors += host_process(path, spec)
    if get("hostUsers") is False:
        why = "when `hostUsers` is false"
        for key, shown in (("hostNetwork", "hostNetwork"), ("hostPID", "HostPID"), ("hostIPC", "HostIPC")):
            if get(key):
                errors.append(field.forbidden(path / shown, why))
        places = [place for place, container in all_containers(path, spec) if container.get("volumeDevices")]
        errors += [field.forbidden(place / "volumeDevices", why) for place in places]
    return errors


def _names_and_limits(path: Path, spec: Object) -> Errors:
    get = spec.get
    errors: Errors = []
    if (override := get("hostnameOverride")) is not None:
        errors += _host_name(path / "hostnameOverride", override, spec)
    for name in ("serviceAccountName", "nodeName"):
        if value := get(name):
            errors += dns_subdomain(path / name, value)
    seconds = get("activeDeadlineSeconds")
    if seconds is not None and not 1 <= seconds <= MAX_INT32:
        errors.append(field.invalid(path / "activeDeadlineSeconds", seconds, range_error(1, MAX_INT32)))
    for name in ("hostname", "subdomain"):
        if value := get(name):
            errors += dns_label(path / name, value)
    if items := get("tolerations"):
        errors += tolerations(path / "tolerations", items)
    for index, alias in enumerate(get("hostAliases") or ()):
        at = path / "hostAliases" / index
        errors += valid_ip(at / "ip", alias.get("ip") or "")
        for number, name in enumerate(alias.get("hostnames") or ()):
            errors += dns_subdomain(at / "hostnames" / number, name)
    if value := get("priorityClassName"):
        errors += dns_subdomain(path / "priorityClassName", value)
    if (value := get("runtimeClassName")) is not None:
        errors += dns_subdomain(path / "runtimeClassName", value)
    if (value := get("preemptionPolicy")) is not None:
        errors += enum(path / "preemptionPolicy", value, PREEMPTION_POLICIES)
    if overhead := get("overhead"):
        errors += requirements(path / "overhead", {"limits": overhead})
    if get("os") is not None:
        errors += operating_system(path, spec)
    return errors


def _host_name(path: Path, name: str, spec: Object) -> Errors:
    """spec.hostnameOverride, which nothing else may decide."""
    errors = [
        field.forbidden(path, f"may not be specified when {key} is true")
        for key in ("setHostnameAsFQDN", "hostNetwork")
        if spec.get(key)
    ]
    if len(name.encode()) > HOST_NAME_LENGTH:
        errors.append(field.too_long(path, HOST_NAME_LENGTH))
    return errors + dns_subdomain(path, name)


def _file_volumes(path: Path, spec: Object) -> Errors:
    """Files with environment variables lie in empty directories."""
    pod_volumes = {volume.get("name"): volume for volume in spec.get("volumes") or ()}
    errors: Errors = []
    for place, container in all_containers(path, spec):
        for index, variable in enumerate(container.get("env") or ()):
            ref = (variable.get("valueFrom") or {}).get("fileKeyRef")
            if ref is None:
                continue
            at, name = place / "env" / index / "valueFrom" / "fileKeyRef" / "volumeName", ref.get("volumeName") or ""
            if name not in pod_volumes:
                errors.append(field.not_found(at, name))
            elif pod_volumes[name].get("emptyDir") is None:
                errors.append(field.invalid(at, name, "referenced volume must be of type emptyDir"))
    return errors


def _host_network(path: Path, containers: Sequence[Object], in_pod: bool) -> Errors:
    errors: Errors = []
    for index, container in enumerate(containers):
        for number, port in enumerate(container.get("ports") or ()):
            host = port.get("hostPort") or 0
            if (in_pod or host) and host != (port.get("containerPort") or 0):
                why = "must match `containerPort` when `hostNetwork` is true"
                errors.append(field.invalid(path / index / "ports" / number / "hostPort", host, why))
    return errors


def _dns_config(path: Path, config: Object | None, policy: str) -> Errors:
    if policy == "None":
        if config is None:
            return [field.required(path, "must provide `dnsConfig` when `dnsPolicy` is None")]
        if not config.get("nameservers"):
            why = "must provide at least one DNS nameserver when `dnsPolicy` is None"
            return [field.required(path / "nameservers", why)]
    if config is None:
        return []
    errors: Errors = []
    servers, searches = config.get("nameservers") or [], config.get("searches") or []
    if len(servers) > MAX_NAMESERVERS:
        why = f"must not have more than {MAX_NAMESERVERS} nameservers"
        errors.append(field.invalid(path / "nameservers", servers, why))
    for index, server in enumerate(servers):
        errors += valid_ip(path / "nameservers" / index, server)
    if len(searches) > MAX_SEARCHES:
        why = f"must not have more than {MAX_SEARCHES} search paths"
        errors.append(field.invalid(path / "searches", searches, why))
    if len(" ".join(searches).encode()) > MAX_SEARCH_CHARACTERS:
        why = f"must not have more than {MAX_SEARCH_CHARACTERS} characters (including spaces) in the search list"
        errors.append(field.invalid(path / "searches", searches, why))
    for index, search in enumerate(searches):
        if search != ".":
            name = search.removesuffix(".")
            errors += each(path / "searches" / index, name, underscore_subdomain_errors(name))
    for index, option in enumerate(config.get("options") or ()):
        if not option.get("name"):
            errors.append(field.required(path / "options" / index, "must not be empty"))
    return errors


# --- annotations and templates ------------------------------------------------------------------


def pod_annotations(path: Path, annotations: Mapping[str, str] | None, spec: Object) -> Errors:
    """Annotations that mean something in a pod."""
    errors: Errors = []
    if not annotations:
        return errors
    if MIRROR_POD_ANNOTATION in annotations and not spec.get("nodeName"):
        why = "must set spec.nodeName if mirror pod annotation is set"
        errors.append(field.invalid(path.key(MIRROR_POD_ANNOTATION), annotations[MIRROR_POD_ANNOTATION], why))
    cost = annotations.get(POD_DELETION_COST)
    if cost is not None and not (_INT32.fullmatch(cost) and -(2**31) <= int(cost) < 2**31 and cost[0] != "+"):
        errors.append(field.invalid(path.key(POD_DELETION_COST), cost, "must be a 32bit integer"))
    return errors + annotations_errors(path, annotations, spec)


def pod_template(path: Path, template: Object) -> Errors:
    """A PodTemplateSpec."""
    meta, spec = template.get("metadata") or {}, template.get("spec") or {}
    errors = template_meta(path, meta, spec)
    errors += pod_spec(path / "spec", spec)
    if spec.get("ephemeralContainers"):
        why = "ephemeral containers not allowed in pod template"
        errors.append(field.forbidden(path / "spec" / "ephemeralContainers", why))
    return errors


def template_meta(path: Path, meta: Object, spec: Object) -> Errors:
    """Labels and annotations; upstream's paths leave `metadata` out."""
    errors = label_map(path / "labels", meta.get("labels"))
    if annotations := meta.get("annotations"):
        errors += validate_annotations(annotations, path / "annotations")
        errors += pod_annotations(path / "annotations", annotations, spec)
    return errors


def always_restarted(path: Path, spec: Object, kind: str) -> Errors:
    """What a template of pods that run for ever must be."""
    errors: Errors = []
    policy = spec.get("restartPolicy") or ""
    if policy != "Always":
        errors.append(field.not_supported(path / "restartPolicy", policy, ("Always",)))
    if spec.get("activeDeadlineSeconds") is not None:
        why = f"activeDeadlineSeconds in {kind} is not Supported"
        errors.append(field.forbidden(path / "activeDeadlineSeconds", why))
    return errors


def condition_types(path: Path, conditions: Sequence[Object]) -> Errors:
    """Conditions that others than the kubelet add have qualified names."""
    errors: Errors = []
    for index, condition in enumerate(conditions):
        name, number = condition.get("type") or "", condition.get("observedGeneration") or 0
        if number < 0:
            errors.append(field.invalid(path / index / "observedGeneration", number, "must be a non-negative integer"))
        if name not in ("PodScheduled", "Ready", "Initialized"):
            errors += each(path / index / "Type", name, label_key_errors(name))
    return errors
