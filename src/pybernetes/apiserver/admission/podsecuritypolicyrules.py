"""What a pod security policy fills into a pod, and what it refuses (upstream: pkg/security/podsecuritypolicy). Pure."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pybernetes.api import field
from pybernetes.api.field import FieldError, Path

from ..kinds.policy.podsecuritypolicy import ANY, MAY_RUN_AS, MUST_RUN_AS, NON_ROOT, VOLUMES
from ..resource import Object
from . import podsecuritypolicyprofiles as profiles

SPEC = Path("spec")
CONTAINERS = ("initContainers", "containers", "ephemeralContainers")
# Sysctls that are of the pod alone (upstream: sysctl.SafeSysctlAllowlist).
SAFE_SYSCTLS = (
    "kernel.shm_rmid_forced",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.tcp_syncookies",
    "net.ipv4.ping_group_range",
    "net.ipv4.ip_unprivileged_port_start",
)
ROOT_CA = "kube-root-ca.crt"

Errors = list[FieldError]
Spec = Mapping[str, Any]


def _containers(spec: Spec) -> Iterator[tuple[Path, dict[str, Any]]]:
    for name in CONTAINERS:
        for index, container in enumerate(spec.get(name) or ()):
            yield SPEC / name / index, container


# --- what is filled in --------------------------------------------------------------------------


def mutate(policy: Object, pod: Object) -> None:
    """Sets what the policy asks for and the pod does not say."""
    rules, spec = policy.get("spec") or {}, pod["spec"]
    values: dict[str, Any] = {}
    context = spec.get("securityContext") or {}
    groups, fs_group = rules.get("supplementalGroups") or {}, rules.get("fsGroup") or {}
    if context.get("supplementalGroups") is None and (first := _first(groups)) is not None:
        values["supplementalGroups"] = [first]
    if context.get("fsGroup") is None and (first := _first(fs_group)) is not None:
        values["fsGroup"] = first
    if context.get("seLinuxOptions") is None and (options := _selinux(rules)) is not None:
        values["seLinuxOptions"] = dict(options)
    if values:
        spec["securityContext"] = context = {**context, **values}
    profiles.set_seccomp(policy, pod)
    runtime = rules.get("runtimeClass") or {}
    if spec.get("runtimeClassName") is None and runtime.get("defaultRuntimeClassName") is not None:
        spec["runtimeClassName"] = runtime["defaultRuntimeClassName"]
    for _, container in _containers(spec):
        _mutate_container(policy, pod, context, container)


def _first(strategy: Spec) -> int | None:
    """The id that is given where none is asked for."""
    ranges = strategy.get("ranges") or ()
    return (ranges[0].get("min") or 0) if strategy.get("rule") == MUST_RUN_AS and ranges else None


def _selinux(rules: Spec) -> Spec | None:
    strategy: Spec = rules.get("seLinux") or {}
    return strategy.get("seLinuxOptions") if strategy.get("rule") == MUST_RUN_AS else None


def _mutate_container(policy: Object, pod: Object, context: Spec, container: dict[str, Any]) -> None:
    rules: Spec = policy.get("spec") or {}
    own: dict[str, Any] = dict(container.get("securityContext") or {})
    effective = {name: context[name] for name in ("runAsUser", "runAsGroup", "runAsNonRoot") if name in context} | own
    for name in ("runAsUser", "runAsGroup"):
        first = _first(rules.get(name) or {})
        if effective.get(name) is None and first is not None:
            own[name] = effective[name] = first
    if own.get("seLinuxOptions") is None and context.get("seLinuxOptions") is None:
        options = _selinux(rules)
        if options is not None:
            own["seLinuxOptions"] = dict(options)
    profiles.set_apparmor(policy, pod, container)
    unsaid = effective.get("runAsNonRoot") is None and effective.get("runAsUser") is None
    if unsaid and (rules.get("runAsUser") or {}).get("rule") == NON_ROOT:
        own["runAsNonRoot"] = True
    capabilities = _capabilities(rules, own.get("capabilities"))
    if capabilities is not None:
        own["capabilities"] = capabilities
    if rules.get("readOnlyRootFilesystem") and own.get("readOnlyRootFilesystem") is None:
        own["readOnlyRootFilesystem"] = True
    if own.get("allowPrivilegeEscalation") is None:
        if rules.get("defaultAllowPrivilegeEscalation") is not None:
            own["allowPrivilegeEscalation"] = rules["defaultAllowPrivilegeEscalation"]
        elif rules.get("allowPrivilegeEscalation") is False:
            own["allowPrivilegeEscalation"] = False
    if own != (container.get("securityContext") or {}):
        container["securityContext"] = own


def _capabilities(rules: Spec, asked: Spec | None) -> dict[str, Any] | None:
    """With those that are added and dropped by default; None where that changes nothing."""
    add, drop = set((asked or {}).get("add") or ()), set((asked or {}).get("drop") or ())
    more = add | (set(rules.get("defaultAddCapabilities") or ()) - drop)
    less = drop | set(rules.get("requiredDropCapabilities") or ())
    if len(more) == len(add) and len(less) == len(drop):
        return None
    return {name: sorted(capabilities) for name, capabilities in (("add", more), ("drop", less)) if capabilities}


# --- what is refused ----------------------------------------------------------------------------


def violations(policy: Object, pod: Object) -> Errors:
    """Why the policy does not let the pod in; none: it does."""
    rules, spec = policy.get("spec") or {}, pod["spec"]
    context: Spec = spec.get("securityContext") or {}
    at = SPEC / "securityContext"
    fs_group = context.get("fsGroup")
    errors = _groups(at / "fsGroup", rules.get("fsGroup") or {}, [] if fs_group is None else [fs_group])
    groups = context.get("supplementalGroups") or []
    errors += _groups(at / "supplementalGroups", rules.get("supplementalGroups") or {}, groups)
    errors += profiles.seccomp_of_pod(policy, pod)
    errors += _selinux_errors(at / "seLinuxOptions", rules, context.get("seLinuxOptions"))
    for name, words in (("hostNetwork", "Host network"), ("hostPID", "Host PID"), ("hostIPC", "Host IPC")):
        if spec.get(name) and not rules.get(name):
            errors.append(field.invalid(at / name, True, f"{words} is not allowed to be used"))
    errors += _sysctls(rules, context.get("sysctls") or ()) + _volumes(rules, spec)
    errors += _runtime_class(rules.get("runtimeClass"), spec.get("runtimeClassName"))
    for path, container in _containers(spec):
        errors += _container(policy, pod, path, container)
    return errors


def _in(ranges: Sequence[Spec], number: int) -> bool:
    return any((one.get("min") or 0) <= number <= (one.get("max") or 0) for one in ranges)


def _shown(ranges: Sequence[Spec]) -> str:
    return "[" + " ".join(f"{{{one.get('min') or 0} {one.get('max') or 0}}}" for one in ranges) + "]"


def _groups(path: Path, strategy: Spec, groups: Sequence[int]) -> Errors:
    rule, ranges = strategy.get("rule"), strategy.get("ranges") or ()
    if rule not in (MUST_RUN_AS, MAY_RUN_AS):
        return []
    text = f"[]int64{{{', '.join(map(str, groups))}}}"

    def refused(why: str) -> FieldError:
        return FieldError("FieldValueInvalid", path.text, f"Invalid value: {text}: {why}")

    if not groups and ranges and rule == MUST_RUN_AS:
        return [refused("unable to validate empty groups against required ranges")]
    outside = [group for group in groups if not _in(ranges, group)]
    return [refused(f"group {group} must be in the ranges: {_shown(ranges)}") for group in outside]


def _selinux_errors(path: Path, rules: Spec, options: Spec | None) -> Errors:
    required = _selinux(rules)
    if required is None:
        return []
    if options is None:
        return [field.required(path)]
    errors: Errors = []
    for name in ("level", "role", "type", "user"):
        value, must = options.get(name) or "", required.get(name) or ""
        same = _level(value) == _level(must) if name == "level" else value == must
        if not same:
            errors.append(field.invalid(path / name, value, f"must be {must}"))
    return errors


def _level(text: str) -> tuple[str, list[str]]:
    """A level's sensitivity and, in any order, its categories."""
    sensitivity, _, categories = text.partition(":")
    return sensitivity, sorted(categories.split(","))


def _matches(patterns: Sequence[str], name: str) -> bool:
    return any(name.startswith(one[:-1]) if one.endswith(ANY) else name == one for one in patterns)


def _sysctls(rules: Spec, sysctls: Sequence[Spec]) -> Errors:
    errors: Errors = []
    for index, sysctl in enumerate(sysctls):
        at, name = Path("pod.spec.securityContext.sysctls") / index, sysctl.get("name") or ""
        if _matches(rules.get("forbiddenSysctls") or (), name):
            errors.append(field.forbidden(at, f"sysctl {field.quote(name)} is not allowed"))
        elif name not in SAFE_SYSCTLS and not _matches(rules.get("allowedUnsafeSysctls") or (), name):
            errors.append(field.forbidden(at, f"unsafe sysctl {field.quote(name)} is not allowed"))
    return errors


def _runtime_class(strategy: Spec | None, name: str | None) -> Errors:
    if strategy is None or name is None:
        return []
    allowed = strategy.get("allowedRuntimeClassNames") or ()
    return [] if {ANY, name} & set(allowed) else [field.invalid(SPEC / "runtimeClassName", name, "")]


# --- volumes ------------------------------------------------------------------------------------


def _volumes(rules: Spec, spec: Spec) -> Errors:
    errors: Errors = []
    allowed = rules.get("volumes") or ()
    for index, volume in enumerate(spec.get("volumes") or ()):
        at = SPEC / "volumes" / index
        kind = next((plugin for plugin in VOLUMES if _of_kind(volume, plugin)), "")
        if not (ANY in allowed or kind in allowed or (kind == "projected" and _is_token(volume, allowed))):
            errors.append(field.invalid(at, kind, f"{kind} volumes are not allowed to be used"))
        elif kind == "hostPath":
            errors += _host_path(at, rules, spec, volume)
        elif kind == "flexVolume":
            driver, drivers = volume[kind].get("driver") or "", rules.get("allowedFlexVolumes") or ()
            if drivers and all(one.get("driver") != driver for one in drivers):
                errors.append(field.invalid(at / "driver", driver, "Flexvolume driver is not allowed to be used"))
        elif kind == "csi":
            driver, drivers = volume[kind].get("driver") or "", rules.get("allowedCSIDrivers") or ()
            if drivers and all(one.get("name") != driver for one in drivers):
                why = "Inline CSI driver is not allowed to be used"
                errors.append(field.invalid(at / "csi" / "driver", driver, why))
    return errors


def _of_kind(volume: Spec, kind: str) -> bool:
    return volume.get("cephfs" if kind == "cephFS" else kind) is not None


def _is_token(volume: Spec, allowed: Sequence[str]) -> bool:
    """What a service account's token is mounted as today; who allows secrets allowed it before."""
    sources = (volume.get("projected") or {}).get("sources") or ()
    return "secret" in allowed and all(_of_token(source) for source in sources)


def _of_token(source: Spec) -> bool:
    if source.get("serviceAccountToken") is not None:
        return True
    if (config := source.get("configMap")) is not None:
        keys = [(item.get("key"), item.get("path")) for item in config.get("items") or ()]
        return bool(config.get("name") == ROOT_CA and keys == [("ca.crt", "ca.crt")])
    items = (source.get("downwardAPI") or {}).get("items") or ()
    paths = [(item.get("path"), (item.get("fieldRef") or {}).get("fieldPath")) for item in items]
    return paths == [("namespace", "metadata.namespace")]


def _host_path(at: Path, rules: Spec, spec: Spec, volume: Spec) -> Errors:
    path, allowed = volume["hostPath"].get("path") or "", rules.get("allowedHostPaths") or ()
    prefixes = [one for one in allowed if _below(path, one.get("pathPrefix") or "")]
    if allowed and not prefixes:
        return [field.invalid(at / "hostPath" / "pathPrefix", path, "is not allowed to be used")]
    if not prefixes or any(not one.get("readOnly") for one in prefixes):
        return []
    errors: Errors = []
    for where, container in _containers(spec):
        for index, mount in enumerate(container.get("volumeMounts") or ()):
            if mount.get("name") == volume.get("name") and not mount.get("readOnly"):
                errors.append(field.invalid(where / "volumeMounts" / index / "readOnly", False, "must be read-only"))
    return errors


def _below(path: str, prefix: str) -> bool:
    clean, above = posixpath.normpath(path), posixpath.normpath(prefix or ".").rstrip("/")
    return clean == above or clean.startswith(f"{above}/")


# --- containers ---------------------------------------------------------------------------------


def _container(policy: Object, pod: Object, path: Path, container: Spec) -> Errors:
    rules: Spec = policy.get("spec") or {}
    context: Spec = pod["spec"].get("securityContext") or {}
    own: Spec = container.get("securityContext") or {}
    at = path / "securityContext"
    user, group, non_root = (
        own.get(name) if own.get(name) is not None else context.get(name)
        for name in ("runAsUser", "runAsGroup", "runAsNonRoot")
    )
    errors = _user(at, rules.get("runAsUser") or {}, user, non_root)
    errors += _groups(at / "runAsGroup", rules.get("runAsGroup") or {}, [] if group is None else [group])
    options = own.get("seLinuxOptions") or context.get("seLinuxOptions")
    errors += _selinux_errors(at / "seLinuxOptions", rules, options)
    errors += profiles.apparmor(policy, pod, container) + profiles.seccomp_of_container(policy, pod, container)
    if own.get("privileged") and not rules.get("privileged"):
        errors.append(field.invalid(at / "privileged", True, "Privileged containers are not allowed"))
    mount = own.get("procMount") or "Default"
    if mount not in (rules.get("allowedProcMountTypes") or ("Default",)):
        errors.append(field.invalid(at / "procMount", mount, "ProcMountType is not allowed"))
    errors += _capability_errors(at / "capabilities", rules, own.get("capabilities"))
    errors += _ports(path / "hostPort", rules.get("hostPorts") or (), container.get("ports") or ())
    if rules.get("readOnlyRootFilesystem") and not own.get("readOnlyRootFilesystem"):
        where = at / "readOnlyRootFilesystem"
        errors.append(field.invalid(where, False, "ReadOnlyRootFilesystem must be set to true"))
    if rules.get("allowPrivilegeEscalation") is False and own.get("allowPrivilegeEscalation") is not False:
        why = "Allowing privilege escalation for containers is not allowed"
        errors.append(field.invalid(at / "allowPrivilegeEscalation", True, why))
    return errors


def _user(at: Path, strategy: Spec, user: int | None, non_root: bool | None) -> Errors:
    rule, ranges = strategy.get("rule"), strategy.get("ranges") or ()
    if rule == MUST_RUN_AS:
        if user is None:
            return [field.required(at / "runAsUser")]
        why = f"must be in the ranges: {_shown(ranges)}"
        return [] if _in(ranges, user) else [field.invalid(at / "runAsUser", user, why)]
    if rule != NON_ROOT:
        return []
    if non_root is None and user is None:
        return [field.required(at / "runAsNonRoot", "must be true")]
    if non_root is False:
        return [field.invalid(at / "runAsNonRoot", False, "must be true")]
    return [field.invalid(at / "runAsUser", 0, "running with the root UID is forbidden")] if user == 0 else []


def _capability_errors(path: Path, rules: Spec, asked: Spec | None) -> Errors:
    default, dropped = rules.get("defaultAddCapabilities") or (), rules.get("requiredDropCapabilities") or ()
    if asked is None:
        if not default and not dropped:
            return []
        return [field.invalid(path, "null", "required capabilities are not set on the securityContext")]
    allowed = rules.get("allowedCapabilities") or ()
    if ANY in allowed:
        return []
    errors: Errors = []
    for capability in asked.get("add") or ():
        if capability not in default and capability not in allowed:
            errors.append(field.invalid(path / "add", capability, "capability may not be added"))
    drop = asked.get("drop") or ()
    shown = f"[]core.Capability{{{', '.join(field.quote(one) for one in drop)}}}" if drop else "[]core.Capability(nil)"
    for capability in dropped:
        if capability not in drop:
            body = f"Invalid value: {shown}: {capability} is required to be dropped but was not found"
            errors.append(FieldError("FieldValueInvalid", (path / "drop").text, body))
    return errors


def _ports(path: Path, ranges: Sequence[Spec], ports: Sequence[Spec]) -> Errors:
    errors: Errors = []
    shown = ",".join(
        str(one["min"]) if one["min"] == one["max"] else f"{one['min']}-{one['max']}"
        for one in ({"min": r.get("min") or 0, "max": r.get("max") or 0} for r in ranges)
    )
    for port in ports:
        number = port.get("hostPort") or 0
        if number > 0 and not _in(ranges, number):
            why = f"Host port {number} is not allowed to be used. Allowed ports: [{shown}]"
            errors.append(field.invalid(path, number, why))
    return errors
