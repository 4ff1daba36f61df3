"""Security contexts of pods and containers (upstream: core validation)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from pybernetes.api import field
from pybernetes.api.field import Path

from ..validation import Errors, descending_path, dns_subdomain, unix_id

Object = Mapping[str, Any]

_SYSCTL_SEGMENT = "[a-z0-9]([-_a-z0-9]*[a-z0-9])?"
_SYSCTL = re.compile(rf"({_SYSCTL_SEGMENT}[\./])*{_SYSCTL_SEGMENT}")
_SYSCTL_LENGTH = 253
_APPARMOR_LENGTH = 4095  # PATH_MAX - 1
_PROFILE_TYPES = ("Localhost", "RuntimeDefault", "Unconfined")
# Which sysctls belong to a namespace that a pod may share with the host (component-helpers/node/util/sysctl).
_IPC_SYSCTLS = ("kernel.sem", "kernel.shm", "kernel.msg", "fs.mqueue.")


def pod_security_context(path: Path, context: Object, spec: Object) -> Errors:
    """`spec` has the host's namespaces, which upstream keeps in the same structure."""
    errors: Errors = []
    for name in ("fsGroup", "runAsUser", "runAsGroup"):
        if (value := context.get(name)) is not None:
            errors += unix_id(path / name, value)
    for index, group in enumerate(context.get("supplementalGroups") or ()):
        errors += unix_id(path / "supplementalGroups" / index, group)
    if spec.get("shareProcessNamespace") and spec.get("hostPID"):
        why = "ShareProcessNamespace and HostPID cannot both be enabled"
        errors.append(field.invalid(path / "shareProcessNamespace", True, why))
    errors += _sysctls(path / "sysctls", context, spec)
    if (policy := context.get("fsGroupChangePolicy")) not in (None, "Always", "OnRootMismatch"):
        errors.append(field.not_supported(path / "fsGroupChangePolicy", policy, ("Always", "OnRootMismatch")))
    errors += _profiles(path, context)
    if (policy := context.get("supplementalGroupsPolicy")) not in (None, "Merge", "Strict"):
        errors.append(field.not_supported(path / "supplementalGroupsPolicy", policy, ("Merge", "Strict")))
    if (policy := context.get("seLinuxChangePolicy")) not in (None, "MountOption", "Recursive"):
        errors.append(field.not_supported(path / "seLinuxChangePolicy", policy, ("MountOption", "Recursive")))
    return errors


def _sysctls(path: Path, context: Object, spec: Object) -> Errors:
    errors: Errors = []
    seen: set[str] = set()
    for index, sysctl in enumerate(context.get("sysctls") or ()):
        at, name = path / index / "name", sysctl.get("name") or ""
        if not name:
            errors.append(field.required(at))
        elif len(name) > _SYSCTL_LENGTH or not _SYSCTL.fullmatch(name):
            why = f"must have at most {_SYSCTL_LENGTH} characters and match regex ^{_SYSCTL.pattern}$"
            errors.append(field.invalid(at, name, why))
        elif name in seen:
            errors.append(field.duplicate(at, name))
        dotted = name.replace("/", ".")
        if spec.get("hostNetwork") and dotted.startswith("net."):
            errors.append(field.invalid(at, name, "may not be specified when 'hostNetwork' is true"))
        elif spec.get("hostIPC") and dotted.startswith(_IPC_SYSCTLS):
            errors.append(field.invalid(at, name, "may not be specified when 'hostIPC' is true"))
        seen.add(name)
    return errors


def _profiles(path: Path, context: Object) -> Errors:
    errors: Errors = []
    if profile := context.get("seccompProfile"):
        errors += _seccomp(path / "seccompProfile", profile)
    if options := context.get("windowsOptions"):
        errors += _windows(path / "windowsOptions", options)
    if profile := context.get("appArmorProfile"):
        errors += _apparmor(path / "appArmorProfile", profile)
    return errors


def _seccomp(path: Path, profile: Object) -> Errors:
    errors: Errors = []
    sort, file = profile.get("type") or "", profile.get("localhostProfile")
    if not sort:
        errors.append(field.required(path / "type", "type is required when seccompProfile is set"))
    elif sort not in _PROFILE_TYPES:
        errors.append(field.not_supported(path / "type", sort, _PROFILE_TYPES))
    at = path / "localhostProfile"
    if sort != "Localhost":
        if file is not None:
            shown = {"Type": sort, "LocalhostProfile": file}
            errors.append(field.invalid(at, shown, "can only be set when seccomp type is Localhost"))
    elif file is None:
        errors.append(field.required(at, "must be set when seccomp type is Localhost"))
    else:
        errors += descending_path(at, file)
    return errors


def _apparmor(path: Path, profile: Object) -> Errors:
    sort, file = profile.get("type") or "", profile.get("localhostProfile")
    at = path / "localhostProfile"
    if not sort:
        return [field.required(path / "type", "type is required when appArmorProfile is set")]
    if sort not in _PROFILE_TYPES:
        return [field.not_supported(path / "type", sort, _PROFILE_TYPES)]
    if sort != "Localhost":
        why = "can only be set when AppArmor type is Localhost"
        return [] if file is None else [field.invalid(at, file, why)]
    if file is None or file == "":
        return [field.required(at, "must be set when AppArmor type is Localhost")]
    errors: Errors = []
    if file.strip() != file:
        errors.append(field.invalid(at, file, "must not be padded with whitespace"))
    if len(file.encode()) > _APPARMOR_LENGTH:
        errors.append(field.too_long(at, _APPARMOR_LENGTH))
    return errors


def _windows(path: Path, options: Object) -> Errors:
    errors: Errors = []
    if (name := options.get("gmsaCredentialSpecName")) is not None:
        errors += dns_subdomain(path / "gmsaCredentialSpecName", name)
    if options.get("gmsaCredentialSpec") == "":
        why = "gmsaCredentialSpec cannot be an empty string"
        errors.append(field.invalid(path / "gmsaCredentialSpec", "", why))
    if options.get("runAsUserName") == "":
        errors.append(field.invalid(path / "runAsUserName", "", "runAsUserName cannot be an empty string"))
    return errors


def container_security_context(path: Path, context: Object, host_users: bool) -> Errors:
    """`host_users`: the pod runs in the host's user namespace."""
    errors: Errors = []
    for name in ("runAsUser", "runAsGroup"):
        if (value := context.get(name)) is not None:
            errors += unix_id(path / name, value)
    if (mount := context.get("procMount")) is not None:
        if mount not in ("Default", "Unmasked"):
            errors.append(field.not_supported(path / "procMount", mount, ("Default", "Unmasked")))
        if host_users and mount == "Unmasked":
            errors.append(field.invalid(path / "procMount", mount, "`hostUsers` must be false to use `Unmasked`"))
    if profile := context.get("seccompProfile"):
        errors += _seccomp(path / "seccompProfile", profile)
    if context.get("allowPrivilegeEscalation") is False:
        if context.get("privileged"):
            why = "cannot set `allowPrivilegeEscalation` to false and `privileged` to true"
            errors.append(field.invalid(path, context, why))
        if "CAP_SYS_ADMIN" in ((context.get("capabilities") or {}).get("add") or ()):
            why = "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN"
            errors.append(field.invalid(path, context, why))
    if options := context.get("windowsOptions"):
        errors += _windows(path / "windowsOptions", options)
    if profile := context.get("appArmorProfile"):
        errors += _apparmor(path / "appArmorProfile", profile)
    return errors


# --- by operating system ------------------------------------------------------------------------

_LINUX_ONLY_POD = (
    "appArmorProfile",
    "seLinuxOptions",
    "seccompProfile",
    "fsGroup",
    "fsGroupChangePolicy",
    "sysctls",
    "runAsUser",
    "runAsGroup",
    "supplementalGroups",
    "supplementalGroupsPolicy",
    "seLinuxChangePolicy",
)
_LINUX_ONLY_SPEC = ("hostUsers", "hostPID", "hostIPC", "shareProcessNamespace")
_LINUX_ONLY_CONTAINER = (
    "appArmorProfile",
    "seLinuxOptions",
    "seccompProfile",
    "capabilities",
    "readOnlyRootFilesystem",
    "privileged",
    "allowPrivilegeEscalation",
    "procMount",
    "runAsUser",
    "runAsGroup",
)


def operating_system(path: Path, spec: Object) -> Errors:
    """spec.os, and what may not be set on that system."""
    name = (spec["os"] or {}).get("name") or ""
    if not name:
        return [field.required(path / "os" / "name", "cannot be empty")]
    if name not in ("linux", "windows"):
        return [field.not_supported(path / "os" / "name", name, ("linux", "windows"))]
    context = spec.get("securityContext") or {}
    at = path / "securityContext"
    if name == "linux":
        fields: tuple[str, ...] = ("windowsOptions",)
        why = "windows options cannot be set for a linux pod"
        errors = [field.forbidden(at / key, why) for key in fields if context.get(key) is not None]
    else:
        fields, why = _LINUX_ONLY_CONTAINER, "cannot be set for a windows pod"
        errors = [field.forbidden(path / key, why) for key in _LINUX_ONLY_SPEC if spec.get(key) not in (None, False)]
        if spec.get("hostUsers") is False:
            errors.insert(0, field.forbidden(path / "hostUsers", why))
        errors += [field.forbidden(at / key, why) for key in _LINUX_ONLY_POD if context.get(key) not in (None, [])]
    for kind in ("containers", "initContainers", "ephemeralContainers"):
        for index, container in enumerate(spec.get(kind) or ()):
            own = container.get("securityContext") or {}
            at = path / kind / index / "securityContext"
            errors += [field.forbidden(at / key, why) for key in fields if own.get(key) is not None]
    return errors
