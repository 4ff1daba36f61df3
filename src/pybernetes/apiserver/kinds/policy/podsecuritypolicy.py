"""PodSecurityPolicy of policy/v1beta1 (until 1.25; upstream: pkg/apis/policy/validation, pkg/registry/policy/podsecuritypolicy)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from pybernetes.api import field
from pybernetes.api.field import FieldError, Path

from ...resource import Column, Errors, Object, Resource
from ..core.volumes import csi_driver_name
from ..printing import NAME
from ..validation import dns_subdomain, go_names
from ..versions import Family

SPEC, ANNOTATIONS = Path("spec"), Path("metadata.annotations")
ANY = "*"
RUN_AS_ANY, MUST_RUN_AS, MAY_RUN_AS, NON_ROOT = "RunAsAny", "MustRunAs", "MayRunAs", "MustRunAsNonRoot"
SECCOMP_DEFAULT = "seccomp.security.alpha.kubernetes.io/defaultProfileName"
SECCOMP_ALLOWED = "seccomp.security.alpha.kubernetes.io/allowedProfileNames"
APPARMOR_DEFAULT = "apparmor.security.beta.kubernetes.io/defaultProfileName"
APPARMOR_ALLOWED = "apparmor.security.beta.kubernetes.io/allowedProfileNames"
# Kinds of volumes, as the fields of a volume are called.
VOLUMES = (
    *("azureFile", "flocker", "flexVolume", "hostPath", "emptyDir", "gcePersistentDisk", "awsElasticBlockStore"),
    *("gitRepo", "secret", "nfs", "iscsi", "glusterfs", "persistentVolumeClaim", "rbd", "cinder", "cephFS"),
    *("downwardAPI", "fc", "configMap", "vsphereVolume", "quobyte", "azureDisk", "photonPersistentDisk", "projected"),
    *("portworxVolume", "scaleIO", "storageos", "csi", "ephemeral"),
)
MAX_SYSCTL = 253
_SEGMENT = "[a-z0-9]([-_a-z0-9]*[a-z0-9])?"
_SYSCTL = re.compile(rf"({_SEGMENT}\.)*([a-z0-9][-_a-z0-9]*)?[a-z0-9*]")


def default(policy: Object) -> None:
    """Privileges may grow unless it says otherwise."""
    spec = policy.setdefault("spec", {})
    if spec.get("allowPrivilegeEscalation") is None:
        spec["allowPrivilegeEscalation"] = True


def prepare_create(policy: Object) -> None:
    """Types of /proc were never let in but by a feature gate, which is off."""
    policy["spec"].pop("allowedProcMountTypes", None)


def prepare_update(new: Object, old: Object) -> None:
    """What is there may stay."""
    if not (old.get("spec") or {}).get("allowedProcMountTypes"):
        prepare_create(new)


# --- validation ---------------------------------------------------------------------------------


def validate(policy: Object) -> Errors:
    """ValidatePodSecurityPolicy."""
    spec = policy.get("spec") or {}
    errors = _annotations((policy.get("metadata") or {}).get("annotations") or {})
    errors += _strategy(SPEC / "runAsUser", spec.get("runAsUser") or {}, (MUST_RUN_AS, NON_ROOT, RUN_AS_ANY))
    if (group := spec.get("runAsGroup")) is not None:
        errors += _group(SPEC / "runAsGroup", group)
    errors += _rule(SPEC / "seLinux", spec.get("seLinux") or {}, (MUST_RUN_AS, RUN_AS_ANY))
    for name in ("supplementalGroups", "fsGroup"):
        errors += _strategy(SPEC / name, spec.get(name) or {}, (MAY_RUN_AS, MUST_RUN_AS, RUN_AS_ANY))
    volume_types = sorted((*VOLUMES, ANY, "none"))
    errors += [
        field.not_supported(SPEC / "volumes", kind, volume_types)
        for kind in spec.get("volumes") or ()
        if kind not in volume_types
    ]
    errors += _capabilities(spec)
    if spec.get("defaultAllowPrivilegeEscalation") and spec.get("allowPrivilegeEscalation") is False:
        why = "Cannot set DefaultAllowPrivilegeEscalation to true without also setting AllowPrivilegeEscalation to true"
        errors.append(field.invalid(SPEC / "defaultAllowPrivilegeEscalation", True, why))
    for index, kind in enumerate(spec.get("allowedProcMountTypes") or ()):
        if kind not in ("Default", "Unmasked"):
            errors.append(field.not_supported(SPEC / "allowedProcMountTypes" / index, kind, ("Default", "Unmasked")))
    errors += _host_paths(SPEC / "allowedHostPaths", spec.get("allowedHostPaths") or ())
    for index, volume in enumerate(spec.get("allowedFlexVolumes") or ()):
        if not volume.get("driver"):
            at = (
                SPEC / "allowedFlexVolumes" / "allowedFlexVolumes" / index / "driver"
            )  # upstream's paths, here and below
            errors.append(field.required(at, "must specify a driver"))
    for index, driver in enumerate(spec.get("allowedCSIDrivers") or ()):
        at = SPEC / "allowedCSIDrivers" / "allowedCSIDriver" / index / "name"
        errors += csi_driver_name(at, driver.get("name") or "")
    errors += _sysctls(spec)
    return errors + _runtime_class(SPEC / "runtimeClass", spec.get("runtimeClass"))


def validate_update(new: Object, old: Object) -> Errors:
    """As on creation."""
    return validate(new)


def apparmor_error(profile: str) -> str:
    """Why it is no AppArmor profile; "" when it is one."""
    if profile in ("", "runtime/default", "unconfined") or profile.startswith("localhost/"):
        return ""
    return f"invalid AppArmor profile name: {field.quote(profile)}"


def _annotations(annotations: Mapping[str, str]) -> Errors:
    errors: Errors = []
    for name, many in ((APPARMOR_DEFAULT, False), (APPARMOR_ALLOWED, True)):
        text = annotations.get(name) or ""
        for profile in text.split(",") if many else [text]:
            if why := apparmor_error(profile):
                errors.append(field.invalid(ANNOTATIONS.key(name), text, why))
    for name, many in ((SECCOMP_DEFAULT, False), (SECCOMP_ALLOWED, True)):
        if not (text := annotations.get(name) or ""):
            continue
        for profile in text.split(",") if many else [text]:
            if not (many and profile == ANY):
                errors += _seccomp(ANNOTATIONS.key(name), profile)
    return errors


def _seccomp(path: Path, profile: str) -> Errors:
    if profile in ("runtime/default", "docker/default", "unconfined"):
        return []
    if not profile.startswith("localhost/"):
        return [field.invalid(path, profile, "must be a valid seccomp profile")]
    file = profile.removeprefix("localhost/")
    if file.startswith("/"):
        return [field.invalid(path, file, "must be a relative path")]
    return [field.invalid(path, file, "must not contain '..'")] if ".." in file.split("/") else []


def _rule(path: Path, strategy: Mapping[str, Any], rules: Sequence[str]) -> Errors:
    rule = strategy.get("rule") or ""
    return [] if rule in rules else [field.not_supported(path / "rule", rule, rules)]


def _group(path: Path, strategy: Mapping[str, Any]) -> Errors:
    """Unlike its neighbours: there are ranges with every rule but one."""
    rule, ranges = strategy.get("rule") or "", strategy.get("ranges") or []
    if rule == RUN_AS_ANY:
        return [field.invalid(path / "ranges", go_names(ranges), "Ranges must be empty")] if ranges else []
    if rule in (MUST_RUN_AS, MAY_RUN_AS) and not ranges:
        return [field.invalid(path / "ranges", strategy.get("ranges"), "must provide at least one range")]
    return _strategy(path, strategy, (MUST_RUN_AS, RUN_AS_ANY, MAY_RUN_AS))


def _strategy(path: Path, strategy: Mapping[str, Any], rules: Sequence[str]) -> Errors:
    errors = _rule(path, strategy, rules)
    for index, ids in enumerate(strategy.get("ranges") or ()):
        at, least, most = path / "ranges" / index, ids.get("min") or 0, ids.get("max") or 0
        for name, value in (("min", least), ("max", most)):
            if value < 0:
                errors.append(field.invalid(at / name, value, f"{name} cannot be negative"))
        if least > most:
            errors.append(field.invalid(at / "min", least, "min cannot be greater than max"))
    return errors


def _capabilities(spec: Mapping[str, Any]) -> Errors:
    """Upstream names these fields without the spec that they are in."""
    errors: Errors = []
    dropped = spec.get("requiredDropCapabilities") or ()
    if dropped and ANY in (spec.get("allowedCapabilities") or ()):
        shown = ", ".join(field.quote(name) for name in dropped)
        why = "must be empty when all capabilities are allowed by a wildcard"
        body = f"Invalid value: []core.Capability{{{shown}}}: {why}"
        errors.append(FieldError("FieldValueInvalid", "requiredDropCapabilities", body))
    for name in ("defaultAddCapabilities", "allowedCapabilities"):
        for capability in spec.get(name) or ():
            if capability in dropped:
                why = f"capability is listed in {name} and requiredDropCapabilities"
                errors.append(field.invalid(Path(name), capability, why))
    return errors


def _host_paths(path: Path, allowed: Sequence[Mapping[str, Any]]) -> Errors:
    errors: Errors = []
    for index, one in enumerate(allowed):
        prefix = one.get("pathPrefix") or ""
        if not prefix:
            return [*errors, field.required(path / index, "is required")]
        if ".." in prefix.split("/"):
            errors.append(field.invalid(path / index, prefix, "must not contain '..'"))
    return errors


def _sysctls(spec: Mapping[str, Any]) -> Errors:
    errors: Errors = []
    for name in ("allowedUnsafeSysctls", "forbiddenSysctls"):
        patterns, everything = spec.get(name) or (), False
        for index, pattern in enumerate(patterns):
            at = SPEC / name / index
            if not pattern:
                errors.append(field.invalid(at, pattern, "empty sysctl not allowed"))
            elif len(pattern) > MAX_SYSCTL or not _SYSCTL.fullmatch(pattern):
                why = f"must have at most {MAX_SYSCTL} characters and match regex {_SYSCTL.pattern}"
                errors.append(field.invalid(at, pattern, why))
            elif pattern.startswith(ANY):
                everything = True
        if everything and len(patterns) > 1:
            why = "if '*' is present, must not specify other sysctls"
            errors.append(field.forbidden(SPEC / name / "items", why))
    for i, allowed in enumerate(spec.get("allowedUnsafeSysctls") or ()):
        for j, forbidden in enumerate(spec.get("forbiddenSysctls") or ()):
            errors += _overlap(i, allowed, j, forbidden)
    return errors


def _overlap(i: int, allowed: str, j: int, forbidden: str) -> Errors:
    at_allowed, at_forbidden = SPEC / "allowedUnsafeSysctls" / i, SPEC / "forbiddenSysctls" / j
    if forbidden.endswith(ANY) and allowed.removesuffix(ANY).startswith(forbidden[:-1]):
        return [field.invalid(at_allowed, allowed, f"sysctl overlaps with {forbidden}")]
    if allowed.endswith(ANY) and forbidden.removesuffix(ANY).startswith(allowed[:-1]):
        return [field.invalid(at_forbidden, forbidden, f"sysctl overlaps with {allowed}")]
    return [field.invalid(at_allowed, allowed, f"sysctl overlaps with {forbidden}")] if allowed == forbidden else []


def _runtime_class(path: Path, strategy: Mapping[str, Any] | None) -> Errors:
    if strategy is None:
        return []
    errors: Errors = []
    names, at, seen = strategy.get("allowedRuntimeClassNames") or [], path / "allowedRuntimeClassNames", set[str]()
    for index, name in enumerate(names):
        if name != ANY:
            errors += dns_subdomain(at / index, name)
        if name in seen:
            errors.append(field.duplicate(at / index, name))
        seen.add(name)
    chosen = strategy.get("defaultRuntimeClassName")
    if chosen is not None:
        errors += dns_subdomain(path / "defaultRuntimeClassName", chosen)
        if chosen not in seen and ANY not in seen:
            errors.append(field.required(at, f"default {field.quote(chosen)} must be allowed"))
    if ANY in seen and len(seen) > 1:
        why = "if '*' is present, must not specify other RuntimeClass names"
        errors.append(field.invalid(at, names, why))
    return errors


# --- table --------------------------------------------------------------------------------------


def row(policy: Object, now: datetime) -> list[Any]:
    """Name, Priv, Caps, SELinux, RunAsUser, FsGroup, SupGroup, ReadOnlyRootFs, Volumes."""
    spec = policy.get("spec") or {}
    rules = [
        (spec.get(name) or {}).get("rule") or "" for name in ("seLinux", "runAsUser", "fsGroup", "supplementalGroups")
    ]
    return [
        policy["metadata"]["name"],
        "true" if spec.get("privileged") else "false",
        ",".join(spec.get("allowedCapabilities") or ()),
        *rules,
        bool(spec.get("readOnlyRootFilesystem")),
        ",".join(spec.get("volumes") or ()),
    ]


RESOURCE = Resource(
    group="policy",
    version="v1beta1",
    name="podsecuritypolicies",
    kind="PodSecurityPolicy",
    refused_as="extensions",
    schema="io.k8s.api.policy.v1beta1.PodSecurityPolicy",
    namespaced=False,
    short_names=("psp",),
    generation=False,
    returns_deleted=True,
    default=default,
    prepare_create=prepare_create,
    prepare_update=prepare_update,
    validate=validate,
    validate_update=validate_update,
    columns=(
        NAME,
        Column("Priv"),
        Column("Caps"),
        Column("SELinux"),
        Column("RunAsUser"),
        Column("FsGroup"),
        Column("SupGroup"),
        Column("ReadOnlyRootFs"),
        Column("Volumes"),
    ),
    row=row,
)

FAMILY: Family = (RESOURCE,)
