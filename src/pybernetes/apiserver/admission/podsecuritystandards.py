"""The Pod Security Standards: what a pod may not do at the levels baseline and restricted (upstream: k8s.io/pod-security-admission/policy).

A check answers with upstream's words, None where the pod passes. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from pybernetes.api.sysctls import SAFE_SYSCTLS
from pybernetes.api.wellknown import APP_ARMOR_CONTAINER_ANNOTATION_PREFIX

Object = dict[str, Any]
Check = Callable[[Object], str | None]

CONTAINERS = ("initContainers", "containers", "ephemeralContainers")
LEVELS = ("privileged", "baseline", "restricted")

CAPABILITIES = frozenset(
    {
        "AUDIT_WRITE",
        "CHOWN",
        "DAC_OVERRIDE",
        "FOWNER",
        "FSETID",
        "KILL",
        "MKNOD",
        "NET_BIND_SERVICE",
        "SETFCAP",
        "SETGID",
        "SETPCAP",
        "SETUID",
        "SYS_CHROOT",
    }
)
SELINUX_TYPES = frozenset({"", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"})
VOLUMES = frozenset(
    {
        "configMap",
        "csi",
        "downwardAPI",
        "emptyDir",
        "ephemeral",
        "image",
        "persistentVolumeClaim",
        "projected",
        "secret",
    }
)
SECCOMP = ("RuntimeDefault", "Localhost")
PROBES = ("livenessProbe", "readinessProbe", "startupProbe")


def containers(pod: Object) -> Iterator[Object]:
    """All of them."""
    for key in CONTAINERS:
        yield from pod["spec"].get(key) or ()


def context(owner: Object) -> Object:
    """A pod spec's or container's securityContext."""
    return owner.get("securityContext") or {}


def quoted(names: Sequence[str]) -> str:
    """ "a", "b"."""
    return ", ".join(f'"{name}"' for name in names)


def plural(word: str, names: Sequence[str]) -> str:
    """container "a", containers "a", "b"."""
    return f"{word}{'' if len(names) == 1 else 's'} {quoted(names)}"


def setters(pod: Object, wrong: Callable[[Object], bool]) -> list[str]:
    """Who sets what is wrong in a security context: pod, container "c"."""
    offenders = ["pod"] if wrong(context(pod["spec"])) else []
    named = [c["name"] for c in containers(pod) if wrong(context(c))]
    return offenders + ([plural("container", named)] if named else [])


# --- baseline -----------------------------------------------------------------------------------


def app_armor(pod: Object) -> str | None:
    """Profiles are the runtime's own, or of the node."""
    key = APP_ARMOR_CONTAINER_ANNOTATION_PREFIX
    annotations = pod["metadata"].get("annotations") or {}
    bad = [
        f'{name}="{value}"'
        for name, value in sorted(annotations.items())
        if name.startswith(key) and value not in ("", "runtime/default") and not value.startswith("localhost/")
    ]
    who = setters(pod, lambda c: (c.get("appArmorProfile") or {}).get("type", "") not in ("", *SECCOMP))
    if not bad and not who:
        return None
    told = [f'{" and ".join(who)} must not set AppArmor profile type to "Unconfined"'] if who else []
    if bad:
        told.append(f"annotation{'' if len(bad) == 1 else 's'} {', '.join(bad)}")
    return f"forbidden AppArmor profile{'' if len(bad) + len(who) == 1 else 's'} ({' and '.join(told)})"


def capabilities(pod: Object) -> str | None:
    """Only those that a runtime gives by itself are added."""
    wrong: dict[str, set[str]] = {}
    for container in containers(pod):
        added = set((context(container).get("capabilities") or {}).get("add") or ()) - CAPABILITIES
        if added:
            wrong[container["name"]] = added
    if not wrong:
        return None
    listed = quoted(sorted(set().union(*wrong.values())))
    where = f"must not include {listed} in securityContext.capabilities.add"
    return f"non-default capabilities ({plural('container', list(wrong))} {where})"


def host_namespaces(pod: Object) -> str | None:
    """Network, processes and IPC are the pod's own."""
    namespaces = [f"{name}=true" for name in ("hostNetwork", "hostPID", "hostIPC") if pod["spec"].get(name)]
    return f"host namespaces ({', '.join(namespaces)})" if namespaces else None


def host_path(pod: Object) -> str | None:
    """No folders of the node."""
    host_paths = [v["name"] for v in pod["spec"].get("volumes") or () if v.get("hostPath") is not None]
    return f"hostPath volumes ({plural('volume', host_paths)})" if host_paths else None


def host_ports(pod: Object) -> str | None:
    """No ports of the node."""
    ports_of = {c["name"]: [p["hostPort"] for p in c.get("ports") or () if p.get("hostPort")] for c in containers(pod)}
    ports_of = {name: ports for name, ports in ports_of.items() if ports}
    if not ports_of:
        return None
    ports = sorted({port for listed in ports_of.values() for port in listed})
    verb = "uses" if len(ports_of) == 1 else "use"
    word = "hostPort" if len(ports) == 1 else "hostPorts"
    return f"hostPort ({plural('container', list(ports_of))} {verb} {word} {', '.join(map(str, ports))})"


def host_probes(pod: Object) -> str | None:
    """Probes and hooks go to the pod itself."""

    def hosts(container: Object) -> Iterator[str]:
        actions = [container.get(name) or {} for name in PROBES]
        actions += [a or {} for a in (container.get("lifecycle") or {}).values() if isinstance(a, dict)]
        for action in actions:
            for kind in ("httpGet", "tcpSocket"):
                if host := (action.get(kind) or {}).get("host"):
                    yield host

    hosts_of = {c["name"]: list(hosts(c)) for c in containers(pod)}
    hosts_of = {name: listed for name, listed in hosts_of.items() if listed}
    if not hosts_of:
        return None
    listed = quoted(sorted({host for one in hosts_of.values() for host in one}))
    verb = "uses" if len(hosts_of) == 1 else "use"
    return f"probe or lifecycle host ({plural('container', list(hosts_of))} {verb} probe or lifecycle host {listed})"


def host_process(pod: Object) -> str | None:
    """No processes of a Windows node."""
    who = setters(pod, lambda c: bool((c.get("windowsOptions") or {}).get("hostProcess")))
    if not who:
        return None
    return f"hostProcess ({' and '.join(who)} must not set securityContext.windowsOptions.hostProcess=true)"


def privileged(pod: Object) -> str | None:
    """No container is privileged."""
    offenders = [c["name"] for c in containers(pod) if context(c).get("privileged")]
    if not offenders:
        return None
    return f"privileged ({plural('container', offenders)} must not set securityContext.privileged=true)"


def proc_mount(pod: Object) -> str | None:
    """/proc stays masked."""
    kinds = {c["name"]: context(c).get("procMount") for c in containers(pod)}
    offenders = [name for name, kind in kinds.items() if kind not in (None, "", "Default")]
    if not offenders:
        return None
    listed = quoted(sorted({str(kinds[name]) for name in offenders}))
    return f"procMount ({plural('container', offenders)} must not set securityContext.procMount to {listed})"


def selinux(pod: Object) -> str | None:
    """Types of containers only, no user and no role."""
    types: set[str] = set()

    def wrong(c: Object) -> bool:
        options = c.get("seLinuxOptions") or {}
        if options.get("type", "") not in SELINUX_TYPES:
            types.add(options["type"])
        return bool(options.get("user") or options.get("role") or options.get("type", "") not in SELINUX_TYPES)

    who = setters(pod, wrong)
    if not who:
        return None
    told = [f"type{'' if len(types) == 1 else 's'} {quoted(sorted(types))}"] if types else []
    owners = [context(pod["spec"]), *(context(c) for c in containers(pod))]
    told += [
        f"{key} may not be set"
        for key in ("user", "role")
        if any((c.get("seLinuxOptions") or {}).get(key) for c in owners)
    ]
    return f"seLinuxOptions ({' and '.join(who)} set forbidden securityContext.seLinuxOptions: {'; '.join(told)})"


def seccomp_baseline(pod: Object) -> str | None:
    """Not switched off."""
    who = setters(pod, lambda c: (c.get("seccompProfile") or {}).get("type") == "Unconfined")
    if not who:
        return None
    return f'seccompProfile ({" and ".join(who)} must not set securityContext.seccompProfile.type to "Unconfined")'


def sysctls(pod: Object) -> str | None:
    """Those that do not reach beyond the pod."""
    named = [s.get("name", "") for s in context(pod["spec"]).get("sysctls") or ()]
    unsafe = [name for name in named if name not in SAFE_SYSCTLS]
    return f"forbidden sysctls ({', '.join(unsafe)})" if unsafe else None


# --- restricted ---------------------------------------------------------------------------------


def _windows(pod: Object) -> bool:
    return bool((pod["spec"].get("os") or {}).get("name") == "windows")


def allow_privilege_escalation(pod: Object) -> str | None:
    """Must be switched off."""
    offenders = [c["name"] for c in containers(pod) if context(c).get("allowPrivilegeEscalation") is not False]
    if not offenders or _windows(pod):
        return None
    where = "must set securityContext.allowPrivilegeEscalation=false"
    return f"allowPrivilegeEscalation != false ({plural('container', offenders)} {where})"


def capabilities_restricted(pod: Object) -> str | None:
    """All are dropped, and none comes back but NET_BIND_SERVICE."""
    keeping, adding, added = [], [], set()
    for container in containers(pod):
        given = context(container).get("capabilities") or {}
        if "ALL" not in (given.get("drop") or ()):
            keeping.append(container["name"])
        extra = set(given.get("add") or ()) - {"NET_BIND_SERVICE"}
        if extra:
            adding.append(container["name"])
            added |= extra
    told = []
    if keeping:
        told.append(f'{plural("container", keeping)} must set securityContext.capabilities.drop=["ALL"]')
    if adding:
        where = f"must not include {quoted(sorted(added))} in securityContext.capabilities.add"
        told.append(f"{plural('container', adding)} {where}")
    return f"unrestricted capabilities ({'; '.join(told)})" if told and not _windows(pod) else None


def restricted_volumes(pod: Object) -> str | None:
    """Only kinds of volumes that are the cluster's."""
    restricted = {
        v["name"]: next((kind for kind in v if kind not in ("name", *VOLUMES)), "")
        for v in pod["spec"].get("volumes") or ()
    }
    restricted = {name: kind for name, kind in restricted.items() if kind}
    if not restricted:
        return None
    kinds = sorted(set(restricted.values()))
    verb, word = ("uses", "type") if len(restricted) == 1 else ("use", "type" if len(kinds) == 1 else "types")
    return f"restricted volume types ({plural('volume', list(restricted))} {verb} restricted volume {word} {quoted(kinds)})"


def run_as_non_root(pod: Object) -> str | None:
    """Said by the pod, or by every container."""
    whole = context(pod["spec"]).get("runAsNonRoot")
    own = {c["name"]: context(c).get("runAsNonRoot") for c in containers(pod)}
    wrong = [name for name, value in own.items() if value is False]
    who = (["pod"] if whole is False else []) + ([plural("container", wrong)] if wrong else [])
    if who:
        return f"runAsNonRoot != true ({' and '.join(who)} must not set securityContext.runAsNonRoot=false)"
    unset = [name for name, value in own.items() if value is None]
    if whole or not unset:
        return None
    return f"runAsNonRoot != true (pod or {plural('container', unset)} must set securityContext.runAsNonRoot=true)"


def run_as_user(pod: Object) -> str | None:
    """Nobody is root."""
    who = setters(pod, lambda c: c.get("runAsUser") == 0)
    return f"runAsUser=0 ({' and '.join(who)} must not set runAsUser=0)" if who else None


def seccomp_restricted(pod: Object) -> str | None:
    """Set by the pod, or by every container."""
    if _windows(pod):
        return None
    who = setters(pod, lambda c: (c.get("seccompProfile") or {}).get("type", SECCOMP[0]) not in SECCOMP)
    if who:
        return f'seccompProfile ({" and ".join(who)} must not set securityContext.seccompProfile.type to "Unconfined")'
    if context(pod["spec"]).get("seccompProfile"):
        return None
    unset = [c["name"] for c in containers(pod) if not context(c).get("seccompProfile")]
    if not unset:
        return None
    where = f'must set securityContext.seccompProfile.type to "{SECCOMP[0]}" or "{SECCOMP[1]}"'
    return f"seccompProfile (pod or {plural('container', unset)} {where})"


# In the order of upstream's names; the stricter of two checks of one thing stands for both.
BASELINE: tuple[Check, ...] = (
    app_armor,
    capabilities,
    host_namespaces,
    host_path,
    host_ports,
    host_probes,
    privileged,
    proc_mount,
    selinux,
    seccomp_baseline,
    sysctls,
    host_process,
)
RESTRICTED: tuple[Check, ...] = (
    *(check for check in BASELINE if check not in (capabilities, host_path, seccomp_baseline)),
    allow_privilege_escalation,
    capabilities_restricted,
    restricted_volumes,
    run_as_non_root,
    run_as_user,
    seccomp_restricted,
)


def violations(pod: Object, level: str) -> list[str]:
    """What the pod does that the level forbids."""
    checks = {"privileged": (), "baseline": BASELINE, "restricted": RESTRICTED}[level]
    return [violation for check in checks if (violation := check(pod)) is not None]
