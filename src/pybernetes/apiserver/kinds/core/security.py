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
        errors += apparmor_profile(path / "appArmorProfile", profile)
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


def apparmor_profile(path: Path, profile: Object) -> Errors:
    """An AppArmorProfile."""
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


_SPEC_SIZE = 64 * 1024
_DOMAIN_LENGTH, _USER_LENGTH = 256, 104
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_NETBIOS = re.compile(r"""[^\\/:*?"<>|.][^\\/:*?"<>|]{0,14}""")
_DOMAIN_LABEL = "[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?"
_DOMAIN = re.compile(rf"{_DOMAIN_LABEL}(?:\.{_DOMAIN_LABEL})*")
_BAD_IN_USERS = re.compile(r"""["/\\:;|=,+*?<>@\[\]]""")


def _windows(path: Path, options: Object) -> Errors:
    errors: Errors = []
    if (name := options.get("gmsaCredentialSpecName")) is not None:
        errors += dns_subdomain(path / "gmsaCredentialSpecName", name)
    spec, at = options.get("gmsaCredentialSpec"), path / "gmsaCredentialSpec"
    if spec == "":
        errors.append(field.invalid(at, "", "gmsaCredentialSpec cannot be an empty string"))
    elif spec is not None and len(spec.encode()) > _SPEC_SIZE:
        errors.append(field.invalid(at, spec, f"gmsaCredentialSpec size must be under {_SPEC_SIZE // 1024} KiB"))
    if (name := options.get("runAsUserName")) is not None:
        whys = _user_name_errors(name)
        errors += [field.invalid(path / "runAsUserName", name, f"runAsUserName{why}") for why in whys]
    return errors


def _user_name_errors(name: str) -> list[str]:
    """Why no process of Windows can run as this DOMAIN\\USER."""
    if not name:
        return [" cannot be an empty string"]
    if _CONTROL.search(name):
        return [" cannot contain control characters"]
    *domains, user = name.split("\\")
    if len(domains) > 1:
        return [" cannot contain more than one backslash"]
    whys = []
    domain = domains[0] if domains else ""
    if len(domain.encode()) >= _DOMAIN_LENGTH:
        whys.append(f"'s Domain length must be under {_DOMAIN_LENGTH} characters")
    if domains and not (_NETBIOS.fullmatch(domain) or _DOMAIN.fullmatch(domain)):
        whys.append("'s Domain doesn't match the NetBios nor the DNS format")
    if not user:
        whys.append("'s User cannot be empty")
    elif len(user.encode()) > _USER_LENGTH:
        whys.append(f"'s User length must not be longer than {_USER_LENGTH} characters")
    if user and not user.strip(". "):
        whys.append("'s User cannot contain only periods or spaces")
    if _BAD_IN_USERS.search(user):
        whys.append("""'s User cannot contain the following characters: "/\\:;|=,+*?<>@[]""")
    return whys


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
        errors += apparmor_profile(path / "appArmorProfile", profile)
    return errors


# --- by operating system ------------------------------------------------------------------------

_WINDOWS = "cannot be set for a windows pod"
# What a Windows pod may not set, in upstream's order; the host's namespaces stand beside the security context.
_LINUX_ONLY_POD = (
    "appArmorProfile",
    "seLinuxOptions",
    "hostUsers",
    "hostPID",
    "hostIPC",
    "seccompProfile",
    "fsGroup",
    "fsGroupChangePolicy",
    "sysctls",
    "shareProcessNamespace",
    "runAsUser",
    "runAsGroup",
    "supplementalGroups",
    "supplementalGroupsPolicy",
    "seLinuxChangePolicy",
)
_OF_SPEC = frozenset({"hostUsers", "hostPID", "hostIPC", "shareProcessNamespace"})
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
_KINDS = ("initContainers", "containers", "ephemeralContainers")


def operating_system(path: Path, spec: Object) -> Errors:
    """spec.os, and what may not be set on that system."""
    name = (spec["os"] or {}).get("name") or ""
    if not name:
        return [field.required(path / "os" / "name")]
    if name not in ("linux", "windows"):
        return [field.not_supported(path / "os", name, ("linux", "windows"))]
    context = spec.get("securityContext") or {}
    at = path / "securityContext"
    if name == "linux":
        fields: tuple[str, ...] = ("windowsOptions",)
        why = "windows options cannot be set for a linux pod"
        errors = [field.forbidden(at / key, why) for key in fields if context.get(key) is not None]
    else:
        fields, why, errors = _LINUX_ONLY_CONTAINER, _WINDOWS, []
        for key in _LINUX_ONLY_POD:
            holder, place = (spec, path) if key in _OF_SPEC else (context, at)
            if holder.get(key) is not None and not (key in ("hostPID", "hostIPC", "sysctls") and not holder[key]):
                errors.append(field.forbidden(place / key, why))
    for kind in _KINDS:
        for index, container in enumerate(spec.get(kind) or ()):
            own = container.get("securityContext") or {}
            at = path / kind / index / "securityContext"
            errors += [field.forbidden(at / key, why) for key in fields if own.get(key) is not None]
    return errors


def host_process(path: Path, spec: Object) -> Errors:
    """Processes of the Windows host: all containers of a pod or none (validateWindowsHostProcessPod)."""
    whole = ((spec.get("securityContext") or {}).get("windowsOptions") or {}).get("hostProcess")
    errors: Errors = []
    count = total = 0
    for kind in _KINDS:
        for index, container in enumerate(spec.get(kind) or ()):
            own = ((container.get("securityContext") or {}).get("windowsOptions") or {}).get("hostProcess")
            if whole is not None and own is not None and whole != own:
                shown = field.quote(whole)
                why = f"pod hostProcess value must be identical if both are specified, was {shown}"
                at = path / kind / index / "securityContext" / "windowsOptions" / "hostProcess"
                errors.append(field.invalid(at, own, why))
            total += 1
            count += 1 if (whole if own is None else own) else 0
    if count and count != total:
        why = "If pod contains any hostProcess containers then all containers must be HostProcess containers"
        errors.append(field.invalid(path, "", why))
    if count and not spec.get("hostNetwork"):
        why = "hostNetwork must be true if pod contains any hostProcess containers"
        errors.append(field.invalid(path / "hostNetwork", False, why))
    return errors
