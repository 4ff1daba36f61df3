"""Containers of pods: regular, init and ephemeral ones (upstream: core validation, validateContainerCommon and around)."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pybernetes.api import field
from pybernetes.api.field import Path
from pybernetes.api.names import dns1123_subdomain_errors

from ..meta import masked
from ..validation import (
    Errors,
    config_key_errors,
    descending_path,
    dns_label,
    each,
    enum,
    env_name_errors,
    no_backsteps,
    port_name_errors,
    range_error,
)
from .probes import lifecycle, probes
from .resources import requirements
from .security import container_security_context
from .volumes import field_ref, resource_field_ref

Object = Mapping[str, Any]

PROTOCOLS = ("SCTP", "TCP", "UDP")
PULL_POLICIES = ("Always", "IfNotPresent", "Never")
MESSAGE_POLICIES = ("File", "FallbackToLogsOnError")
ENV_FIELDS = (
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
)


@dataclass(frozen=True, slots=True)
class PodContext:
    """What the checks of a container must know of its pod."""

    volumes: Mapping[str, Object]
    claims: Collection[str]
    grace: int | None
    restart_policy: str
    host_users: bool
    system: str | None = None  # what spec.os names, None without spec.os


# --- lists of containers ------------------------------------------------------------------------


def regular_containers(path: Path, containers: Sequence[Object], pod: PodContext) -> Errors:
    """spec.containers."""
    if not containers:
        return [field.required(path)]
    errors: Errors = []
    names: set[str] = set()
    for index, container in enumerate(containers):
        at, name = path / index, container.get("name") or ""
        errors += _common(at, container, pod)
        if name in names:
            errors.append(field.duplicate(at / "name", name))
        names.add(name)
        if hooks := container.get("lifecycle"):
            errors += lifecycle(at / "lifecycle", hooks, pod.grace, pod.system)
        errors += probes(at, container, pod.grace)
        errors += _restart_rules(at, container)
    return errors + _host_port_conflicts(path, containers)


def init_containers(path: Path, containers: Sequence[Object], regular: Sequence[Object], pod: PodContext) -> Errors:
    """spec.initContainers; those that restart always are sidecars."""
    errors: Errors = []
    names = {container.get("name") or "" for container in regular}
    for index, container in enumerate(containers):
        at, name = path / index, container.get("name") or ""
        errors += _common(at, container, pod)
        if container.get("restartPolicy") == "Always" and container.get("restartPolicyRules"):
            why = "restartPolicyRules are not allowed for init containers with restart policy Always"
            errors.append(field.forbidden(at / "restartPolicyRules", why))
        elif container.get("restartPolicy") not in (None, "Always"):
            errors += _restart_rules(at, container)
        if name in names:
            errors.append(field.duplicate(at / "name", name))
        elif name:
            names.add(name)
        errors += _host_port_conflicts(path, [container])
        if container.get("restartPolicy") == "Always":
            if hooks := container.get("lifecycle"):
                errors += lifecycle(at / "lifecycle", hooks, pod.grace, pod.system)
            errors += probes(at, container, pod.grace)
            continue
        for key in ("lifecycle", "livenessProbe", "readinessProbe", "startupProbe"):
            if container.get(key) is not None:
                why = "may not be set for init containers without restartPolicy=Always"
                errors.append(field.forbidden(at / key, why))
    return errors


_NOT_EPHEMERAL = (
    "ports",
    "resources",
    "resizePolicy",
    "restartPolicy",
    "restartPolicyRules",
    "livenessProbe",
    "readinessProbe",
    "startupProbe",
    "lifecycle",
)
_NOT_FOR_EPHEMERAL = "cannot be set for an Ephemeral Container"


def ephemeral_containers(path: Path, containers: Sequence[Object], others: Sequence[Object], pod: PodContext) -> Errors:
    """spec.ephemeralContainers; `others` are the regular and init containers."""
    errors: Errors = []
    other_names = {container.get("name") or "" for container in others}
    names = set(other_names)
    for index, container in enumerate(containers):
        at, name = path / index, container.get("name") or ""
        errors += _common(at, container, pod)
        errors += image_without_spaces(at, container)
        if name in names:
            errors.append(field.duplicate(at / "name", name))
        names.add(name)
        target = container.get("targetContainerName")
        if target and target not in other_names:
            errors.append(field.not_found(at / "targetContainerName", target))
        for key in _NOT_EPHEMERAL:
            if container.get(key):
                errors.append(field.forbidden(at / key, _NOT_FOR_EPHEMERAL))
        for number, mount in enumerate(container.get("volumeMounts") or ()):
            for key in ("subPath", "subPathExpr"):
                if mount.get(key):
                    errors.append(field.forbidden(at / "volumeMounts" / number / key, _NOT_FOR_EPHEMERAL))
    return errors


def image_without_spaces(path: Path, container: Object) -> Errors:
    """In pods, not in templates: nothing before or after the image's name."""
    image = container.get("image") or ""
    if image == image.strip():
        return []
    return [field.invalid(path / "image", image, "must not have leading or trailing whitespace")]


def _host_port_conflicts(path: Path, containers: Sequence[Object]) -> Errors:
    errors: Errors = []
    taken: set[str] = set()
    for index, container in enumerate(containers):
        for number, port in enumerate(container.get("ports") or ()):
            if not port.get("hostPort"):
                continue
            text = f"{port.get('protocol') or ''}/{port.get('hostIP') or ''}/{port['hostPort']}"
            if text in taken:
                errors.append(field.duplicate(path / index / "ports" / number / "hostPort", text))
            taken.add(text)
    return errors


# --- one container ------------------------------------------------------------------------------


def _common(path: Path, container: Object, pod: PodContext) -> Errors:
    get = container.get
    name = get("name")
    errors = dns_label(path / "name", name) if name else [field.required(path / "name")]
    if not get("image"):
        errors.append(field.required(path / "image"))
    if get("terminationMessagePolicy") not in MESSAGE_POLICIES:
        errors += enum(path / "terminationMessagePolicy", get("terminationMessagePolicy"), MESSAGE_POLICIES)
    if ports := get("ports"):
        errors += _ports(path / "ports", ports)
    if variables := get("env"):
        errors += _env(path / "env", variables)
    if sources := get("envFrom"):
        errors += _env_from(path / "envFrom", sources)
    mounts, devices = get("volumeMounts") or (), get("volumeDevices") or ()
    if mounts:
        errors += _mounts(path / "volumeMounts", mounts, devices, container, pod)
    if devices:
        errors += _devices(path / "volumeDevices", devices, mounts, pod)
    if get("imagePullPolicy") not in PULL_POLICIES:
        errors += enum(path / "imagePullPolicy", get("imagePullPolicy"), PULL_POLICIES)
    if resources := get("resources"):
        errors += requirements(path / "resources", resources, pod.claims)
    if policies := get("resizePolicy"):
        errors += _resize_policy(path / "resizePolicy", policies, pod.restart_policy)
    if context := get("securityContext"):
        errors += container_security_context(path / "securityContext", context, pod.host_users)
    return errors


def _ports(path: Path, ports: Sequence[Object]) -> Errors:
    errors: Errors = []
    names: set[str] = set()
    for index, port in enumerate(ports):
        at = path / index
        if name := port.get("name"):
            if problems := port_name_errors(name):
                errors += each(at / "name", name, problems)
            elif name in names:
                errors.append(field.duplicate(at / "name", name))
            names.add(name)
        number, host = port.get("containerPort") or 0, port.get("hostPort") or 0
        if not number:
            errors.append(field.required(at / "containerPort"))
        elif not 1 <= number <= 65535:
            errors.append(field.invalid(at / "containerPort", number, range_error(1, 65535)))
        if host and not 1 <= host <= 65535:
            errors.append(field.invalid(at / "hostPort", host, range_error(1, 65535)))
        errors += enum(at / "protocol", port.get("protocol"), PROTOCOLS)
    return errors


def _env(path: Path, variables: Sequence[Object]) -> Errors:
    errors: Errors = []
    for index, variable in enumerate(variables):
        name = variable.get("name") or ""
        if not name:
            errors.append(field.required(path / index / "name"))
        elif problems := env_name_errors(name):
            errors += each(path / index / "name", name, problems)
        if (source := variable.get("valueFrom")) is not None:
            errors += _value_from(path / index / "valueFrom", variable.get("value") or "", source)
    return errors


def _value_from(path: Path, value: str, source: Object) -> Errors:
    errors: Errors = []
    count = 0
    if (ref := source.get("fieldRef")) is not None:
        count += 1
        errors += field_ref(path / "fieldRef", ref, ENV_FIELDS)
    if (ref := source.get("resourceFieldRef")) is not None:
        count += 1
        errors += resource_field_ref(path / "resourceFieldRef", ref, in_volume=False)
    for key in ("configMapKeyRef", "secretKeyRef"):
        if (ref := source.get(key)) is not None:
            count += 1
            errors += _key_ref(path / key, ref)
    if (ref := source.get("fileKeyRef")) is not None:
        count += 1
        errors += _file_key_ref(path / "fileKeyRef", ref)
    if not count:
        why = "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`"
        errors.append(field.invalid(path, "", why))
    elif value:
        errors.append(field.invalid(path, "", "may not be specified when `value` is not empty"))
    elif count > 1:
        errors.append(field.invalid(path, "", "may not have more than one field specified at a time"))
    return errors


def _key_ref(path: Path, ref: Object) -> Errors:
    name, key = ref.get("name") or "", ref.get("key") or ""
    errors = each(path / "name", name, dns1123_subdomain_errors(name))
    return errors + (each(path / "key", key, config_key_errors(key)) if key else [field.required(path / "key")])


def _file_key_ref(path: Path, ref: Object) -> Errors:
    key, volume, file = ref.get("key") or "", ref.get("volumeName") or "", ref.get("path") or ""
    errors = each(path / "key", key, env_name_errors(key)) if key else [field.required(path / "key")]
    errors += dns_label(path / "volumeName", volume) if volume else [field.required(path / "volumeName")]
    return errors + (no_backsteps(path / "path", file) if file else [field.required(path / "path")])


def _env_from(path: Path, sources: Sequence[Object]) -> Errors:
    errors: Errors = []
    for index, source in enumerate(sources):
        at = path / index
        if prefix := source.get("prefix"):
            errors += each(at / "prefix", prefix, env_name_errors(prefix))
        given = [key for key in ("configMapRef", "secretRef") if source.get(key) is not None]
        for key in given:
            name = source[key].get("name") or ""
            if name:
                errors += each(at / key / "name", name, dns1123_subdomain_errors(masked(name)))
            else:
                errors.append(field.required(at / key / "name"))
        if not given:
            errors.append(field.invalid(path, "", "must specify one of: `configMapRef` or `secretRef`"))
        elif len(given) > 1:
            errors.append(field.invalid(path, "", "may not have more than one field specified at a time"))
    return errors


_RESIZABLE = ("cpu", "memory")
_RESIZE_POLICIES = ("NotRequired", "RestartContainer")


def _resize_policy(path: Path, policies: Sequence[Object], restart_policy: str) -> Errors:
    errors: Errors = []
    seen: set[str] = set()
    for index, policy in enumerate(policies):
        name, restart = policy.get("resourceName") or "", policy.get("restartPolicy") or ""
        if name in seen:
            errors.append(field.duplicate(path / index, name))
        seen.add(name)
        errors += enum(path, name, _RESIZABLE)
        errors += enum(path, restart, _RESIZE_POLICIES)
        if restart_policy == "Never" and restart != "NotRequired":
            errors.append(field.invalid(path, restart, "must be 'NotRequired' when `restartPolicy` is 'Never'"))
    return errors


_RESTART_POLICIES = ("Always", "Never", "OnFailure")
_RULES_LIMIT = 20
_EXIT_CODES_LIMIT = 255


def _restart_rules(path: Path, container: Object) -> Errors:
    """A container's own restart policy, and the rules by exit code that go with it."""
    policy, rules = container.get("restartPolicy"), container.get("restartPolicyRules") or ()
    errors: Errors = []
    if policy is not None and policy not in _RESTART_POLICIES:
        errors.append(field.not_supported(path / "restartPolicy", policy, _RESTART_POLICIES))
    at = path / "restartPolicyRules"
    if rules and policy is None:
        errors.append(field.required(path / "restartPolicy", "must specify restartPolicy when restart rules are used"))
    if len(rules) > _RULES_LIMIT:
        errors.append(field.too_long(at, _RULES_LIMIT))
    for index, rule in enumerate(rules):
        errors += enum(at / index / "action", rule.get("action"), ("Restart", "RestartAllContainers"))
        codes = rule.get("exitCodes")
        if codes is None:
            errors.append(field.required(at / index / "exitCodes", "must be specified"))
            continue
        errors += enum(at / index / "exitCodes" / "operator", codes.get("operator"), ("In", "NotIn"))
        values = codes.get("values") or ()
        if len(values) > _EXIT_CODES_LIMIT:
            errors.append(field.too_long(at / index / "exitCodes" / "values", _EXIT_CODES_LIMIT))
    return errors


# --- mounts and devices -------------------------------------------------------------------------


def _mounts(
    path: Path, mounts: Sequence[Object], devices: Sequence[Object], container: Object, pod: PodContext
) -> Errors:
    errors: Errors = []
    points: set[str] = set()
    device_paths = {device.get("name") or "": device.get("devicePath") or "" for device in devices}
    for index, mount in enumerate(mounts):
        at, name, point = path / index, mount.get("name") or "", mount.get("mountPath") or ""
        if not name:
            errors.append(field.required(at / "name"))
        if name not in pod.volumes:
            errors.append(field.not_found(at / "name", name))
        if not point:
            errors.append(field.required(at / "mountPath"))
        if point in points:
            errors.append(field.invalid(at / "mountPath", point, "must be unique"))
        points.add(point)
        if name in device_paths:
            errors.append(field.invalid(at / "name", name, "must not already exist in volumeDevices"))
        if point in device_paths.values():
            why = "must not already exist as a path in volumeDevices"
            errors.append(field.invalid(at / "mountPath", point, why))
        errors += _sub_paths(path, at, mount, pod.volumes.get(name) or {})
        if (mode := mount.get("mountPropagation")) is not None:
            errors += _propagation(path / "mountPropagation", mode, container)
        if (mode := mount.get("recursiveReadOnly")) is not None:
            errors += _recursive(path / "recursiveReadOnly", mode, mount)
    return errors


def _sub_paths(path: Path, at: Path, mount: Object, volume: Object) -> Errors:
    errors: Errors = []
    sub, expression = mount.get("subPath") or "", mount.get("subPathExpr") or ""
    if not sub and not expression:
        return errors
    if sub:
        errors += descending_path(path / "subPath", sub)  # without the index, as upstream's
    if expression:
        if sub:
            why = "subPathExpr and subPath are mutually exclusive"
            errors.append(field.invalid(at / "subPathExpr", expression, why))
        errors += descending_path(path / "subPathExpr", expression)
    return errors


_PROPAGATIONS = ("Bidirectional", "HostToContainer", "None")


def _propagation(path: Path, mode: str, container: Object) -> Errors:
    errors = [] if mode in _PROPAGATIONS else [field.not_supported(path, mode, _PROPAGATIONS)]
    if mode == "Bidirectional" and not (container.get("securityContext") or {}).get("privileged"):
        why = "Bidirectional mount propagation is available only to privileged containers"
        errors.append(field.forbidden(path, why))
    return errors


def _recursive(path: Path, mode: str, mount: Object) -> Errors:
    if mode == "Disabled":
        return []
    if mode not in ("Enabled", "IfPossible"):
        return [field.not_supported(path, mode, ("Disabled", "Enabled", "IfPossible"))]
    errors = [] if mount.get("readOnly") else [field.forbidden(path, "may only be specified when readOnly is true")]
    if mount.get("mountPropagation") not in (None, "None"):
        why = "may only be specified when mountPropagation is None or not specified"
        errors.append(field.forbidden(path, why))
    return errors


def _devices(path: Path, devices: Sequence[Object], mounts: Sequence[Object], pod: PodContext) -> Errors:
    errors: Errors = []
    paths: set[str] = set()
    names: set[str] = set()
    mounted = {mount.get("name") or "": mount.get("mountPath") or "" for mount in mounts}
    for index, device in enumerate(devices):
        at, name, target = path / index, device.get("name") or "", device.get("devicePath") or ""
        volume = pod.volumes.get(name)
        if not name:
            errors.append(field.required(at / "name"))
        if name in names:
            errors.append(field.invalid(at / "name", name, "must be unique"))
        if volume is None:
            errors.append(field.not_found(at / "name", name))
        elif volume.get("persistentVolumeClaim") is None and volume.get("ephemeral") is None:
            why = "can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode"
            errors.append(field.invalid(at / "name", name, why))
        if not target:
            errors.append(field.required(at / "devicePath"))
        if target in paths:
            errors.append(field.invalid(at / "devicePath", target, "must be unique"))
        if ".." in target.split("/"):
            errors.append(field.invalid(at / "devicePath", target, "can not contain backsteps ('..')"))
        else:
            paths.add(target)
        if name in mounted:
            errors.append(field.invalid(at / "name", name, "must not already exist in volumeMounts"))
        if target in mounted.values():
            why = "must not already exist as a path in volumeMounts"
            errors.append(field.invalid(at / "devicePath", target, why))
        if name:
            names.add(name)
    return errors
