"""Docker's JSON from and to the runtime's words (upstream: pkg/kubelet/dockershim naming.go, security_context.go, helpers_linux.go)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from .types import Container, ContainerConfig, Device, Image, Mount, Resources, Sandbox, SandboxConfig

Json = dict[str, Any]

POD_NAME = "io.kubernetes.pod.name"
POD_NAMESPACE = "io.kubernetes.pod.namespace"
POD_UID = "io.kubernetes.pod.uid"
CONTAINER_NAME = "io.kubernetes.container.name"
CONTAINER_TYPE = "io.kubernetes.docker.type"
SANDBOX_ID = "io.kubernetes.sandbox.id"
LOG_PATH = "io.kubernetes.container.logpath"
ANNOTATION = "annotation."
HASH = "annotation.io.kubernetes.container.hash"
TERMINATION_PATH = "annotation.io.kubernetes.container.terminationMessagePath"
TERMINATION_POLICY = "annotation.io.kubernetes.container.terminationMessagePolicy"
SANDBOX, CONTAINER = "podsandbox", "container"
SANDBOX_NAME = "POD"
SANDBOX_SHARES = 2
SANDBOX_OOM_SCORE = -998
NAME = re.compile(r"/?k8s_([^_]+)_([^_]+)_([^_]+)_([^_]+)_([0-9]+)")
PROPAGATION = {"": "", "HostToContainer": "rslave", "Bidirectional": "rshared"}
LOCALHOST = "localhost/"  # what a seccomp profile on the node begins with
OWN_HANDLERS = ("", "docker")  # what leaves it to the daemon, as in dockershim
ZERO_TIME = "0001-01-01T00:00:00Z"

# What a container must not see or change of the host (upstream: pkg/securitycontext/util.go).
MASKED = (
    "/proc/asound",
    "/proc/acpi",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/sys/firmware",
    "/sys/devices/virtual/powercap",
)
READ_ONLY = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")

# All capabilities but SYS_RESOURCE: what a privileged container gets where the machine itself lacks that one.
CAPABILITIES = (
    *("AUDIT_CONTROL", "AUDIT_READ", "AUDIT_WRITE", "BLOCK_SUSPEND", "CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH"),
    *("FOWNER", "FSETID", "IPC_LOCK", "IPC_OWNER", "KILL", "LEASE", "LINUX_IMMUTABLE", "MAC_ADMIN", "MAC_OVERRIDE"),
    *("MKNOD", "NET_ADMIN", "NET_BIND_SERVICE", "NET_BROADCAST", "NET_RAW", "SETFCAP", "SETGID", "SETPCAP", "SETUID"),
    *("SYSLOG", "SYS_ADMIN", "SYS_BOOT", "SYS_CHROOT", "SYS_MODULE", "SYS_NICE", "SYS_PACCT", "SYS_PTRACE"),
    *("SYS_RAWIO", "SYS_TIME", "SYS_TTY_CONFIG", "WAKE_ALARM"),
)


def container_name(name: str, pod: SandboxConfig, attempt: int) -> str:
    """k8s_NAME_POD_NAMESPACE_UID_ATTEMPT."""
    return f"k8s_{name}_{pod.pod_name}_{pod.namespace}_{pod.uid}_{attempt}"


def _annotated(annotations: Mapping[str, str]) -> dict[str, str]:
    return {ANNOTATION + key: value for key, value in annotations.items()}


def _of_pod(pod: SandboxConfig) -> dict[str, str]:
    return {POD_NAME: pod.pod_name, POD_NAMESPACE: pod.namespace, POD_UID: pod.uid}


def systemd_slice(parent: str) -> str:
    """kubepods-besteffort-podUID.slice of /kubepods/besteffort/podUID: how the systemd driver names it."""
    parts = [part.replace("-", "_") for part in parent.strip("/").split("/") if part]
    return "-".join(parts) + ".slice"


def sandbox_create(pod: SandboxConfig, image: str, parent: str, oom_score: int, bridged: bool = False) -> Json:
    """The body of /containers/create for a sandbox; `bridged`: its network, and its host ports, are Docker's."""
    host: Json = {
        "NetworkMode": "host" if pod.host_network else "default" if bridged else "none",
        "IpcMode": "host" if pod.host_ipc else "shareable",
        "PidMode": "host" if pod.host_pid else "",
        "CpuShares": SANDBOX_SHARES,
        "OomScoreAdj": oom_score,
        "SecurityOpt": ["no-new-privileges"],
        "CgroupParent": parent,
        "LogConfig": {"Type": "json-file"},
        "GroupAdd": [str(group) for group in pod.groups],
        "Sysctls": dict(pod.sysctls),
    }
    exposed: Json = {}
    bindings: Json = {}
    for port in pod.ports if pod.host_network or bridged else ():
        key = f"{port.container_port}/{port.protocol.lower()}"
        exposed[key] = {}
        bindings[key] = [{"HostIp": port.host_ip, "HostPort": str(port.host_port)}]
    return {
        "Image": image,
        "Hostname": "" if pod.host_network else pod.hostname,
        "Labels": {
            **pod.labels,
            **_annotated(pod.annotations),
            **_of_pod(pod),
            CONTAINER_NAME: SANDBOX_NAME,
            CONTAINER_TYPE: SANDBOX,
        },
        "User": pod.user,
        "ExposedPorts": exposed,
        "HostConfig": {**host, "PortBindings": bindings, **_handled_by(pod)},
    }


def addresses(inspected: Json) -> tuple[str, ...]:
    """A container's, of the networks that Docker has made for it; IPv4 first."""
    networks = (inspected.get("NetworkSettings") or {}).get("Networks") or {}
    listed = [network.get(name, "") for name in ("IPAddress", "GlobalIPv6Address") for network in networks.values()]
    return tuple(address for address in listed if address)


def _handled_by(pod: SandboxConfig) -> Json:
    """Which of the daemon's OCI runtimes it is; its default where none is named."""
    return {"Runtime": pod.runtime_handler} if pod.runtime_handler not in OWN_HANDLERS else {}


def seccomp_profile(config: ContainerConfig) -> str:
    """The path of the profile on the node, "" where none is to be read."""
    seccomp = config.security.seccomp
    return seccomp.removeprefix(LOCALHOST) if seccomp.startswith(LOCALHOST) and not config.security.privileged else ""


def security_options(config: ContainerConfig) -> list[str]:
    """Docker's words for it; a seccomp profile stands there as its JSON (`seccomp_profile` says which file has it)."""
    security = config.security
    options = ["no-new-privileges"] if security.no_new_privileges else []
    options += [f"label={option}" for option in security.selinux]
    if security.privileged:
        options.append("label=disable")
    if security.apparmor and not security.privileged:
        options.append(f"apparmor={security.apparmor}")
    if security.privileged or security.seccomp != "runtime/default":
        options.append(f"seccomp={'unconfined' if security.privileged else security.seccomp}")
    return options


def bind(mount: Mount) -> str:
    """HOST:CONTAINER[:MODE,...] as Docker's Binds have it."""
    modes = [mode for mode in ("ro" if mount.read_only else "", PROPAGATION[mount.propagation]) if mode]
    return f"{mount.host_path}:{mount.container_path}{':' + ','.join(modes) if modes else ''}"


def image_mount(mount: Mount) -> Json:
    """One of Docker's Mounts, since API version 1.48; what an image has is never written to."""
    part = {"ImageOptions": {"Subpath": mount.image_path}} if mount.image_path else {}
    return {"Type": "image", "Source": mount.image, "Target": mount.container_path, "ReadOnly": True, **part}


def host_device(device: Device) -> Json:
    """One of Docker's Devices."""
    return {
        "PathOnHost": device.host_path,
        "PathInContainer": device.container_path,
        "CgroupPermissions": device.permissions,
    }


def log_path(config: ContainerConfig, pod: SandboxConfig) -> str:
    """The absolute path of a container's log, "" where none is wanted."""
    return f"{pod.log_directory}/{config.log_path}" if pod.log_directory and config.log_path else ""


def _pid_mode(config: ContainerConfig, pod: SandboxConfig, shared: str) -> str:
    if pod.host_pid:
        return "host"
    if config.target_id and not pod.share_process_namespace:
        return f"container:{config.target_id}"
    return shared if pod.share_process_namespace else ""


def container_create(
    config: ContainerConfig, pod: SandboxConfig, sandbox_id: str, parent: str, oom_score: int, may_privilege: bool
) -> Json:
    """The body of /containers/create for a container; `may_privilege` False: the machine's own rights are not full."""
    limits, security = config.resources, config.security
    shared = f"container:{sandbox_id}"
    host: Json = {
        "NetworkMode": shared,
        "IpcMode": "host" if pod.host_ipc else shared,
        "PidMode": _pid_mode(config, pod, shared),
        "UTSMode": "host" if pod.host_network else "",
        "Binds": [bind(mount) for mount in config.mounts if not mount.image],
        "CpuShares": limits.cpu_shares,
        "CpuPeriod": limits.cpu_period,
        "CpuQuota": limits.cpu_quota,
        "Memory": limits.memory_bytes,
        "MemorySwap": limits.memory_bytes,
        "OomScoreAdj": oom_score,
        "CapAdd": list(security.add_capabilities),
        "CapDrop": list(security.drop_capabilities),
        "GroupAdd": [str(group) for group in security.groups],
        "SecurityOpt": security_options(config),
        "ReadonlyRootfs": security.read_only_root,
        "Privileged": security.privileged,
        "CgroupParent": parent,
        "RestartPolicy": {"Name": "no"},
        "LogConfig": {"Type": "json-file"},
    }
    if security.privileged and not may_privilege:
        host |= {
            "Privileged": False,
            "CapAdd": list(CAPABILITIES),
            "SecurityOpt": [*host["SecurityOpt"], "apparmor=unconfined"],
            "DeviceCgroupRules": ["a *:* rwm"],
        }
    images = [image_mount(mount) for mount in config.mounts if mount.image]
    if images:
        host["Mounts"] = images
    if config.devices:
        host["Devices"] = [host_device(device) for device in config.devices]
    host["MaskedPaths"] = [] if security.privileged or security.proc_mount == "Unmasked" else list(MASKED)
    host["ReadonlyPaths"] = [] if security.privileged or security.proc_mount == "Unmasked" else list(READ_ONLY)
    return {
        "Image": config.image,
        "User": security.user,
        "Env": [f"{name}={value}" for name, value in config.envs],
        "Entrypoint": list(config.command) or None,
        "Cmd": list(config.args) or None,
        "WorkingDir": config.working_dir,
        **({"StopSignal": config.stop_signal} if config.stop_signal else {}),
        "OpenStdin": config.stdin,
        "StdinOnce": config.stdin_once,
        "Tty": config.tty,
        "Healthcheck": {"Test": ["NONE"]},
        "Labels": {
            **config.labels,
            **_of_pod(pod),
            CONTAINER_NAME: config.name,
            CONTAINER_TYPE: CONTAINER,
            SANDBOX_ID: sandbox_id,
            LOG_PATH: log_path(config, pod),
        },
        "HostConfig": {**host, **_handled_by(pod)},
    }


def limits_update(limits: Resources) -> Json:
    """The body of /containers/ID/update; 0 would leave what there is, -1 takes a limit away."""
    return {
        "CpuShares": limits.cpu_shares,
        "CpuPeriod": limits.cpu_period,
        "CpuQuota": limits.cpu_quota or -1,
        "Memory": limits.memory_bytes,
        "MemorySwap": limits.memory_bytes or -1,
    }


def time_of(text: str) -> datetime | None:
    """A Docker time, to the second as the API has it; None for Go's zero time."""
    if not text or text.startswith("0001-"):
        return None
    return datetime.fromisoformat(text[:19]).replace(tzinfo=UTC)


def name_parts(names: Sequence[str]) -> tuple[str, int] | None:
    """Container name and attempt of k8s_...; None for what the kubelet has not made."""
    match = NAME.fullmatch(names[0]) if names else None
    return (match[1], int(match[5])) if match else None


def sandbox_of(summary: Json, pid: int = 0) -> Sandbox | None:
    """A sandbox from an entry of /containers/json."""
    labels, parts = summary["Labels"], name_parts(summary["Names"])
    if parts is None:
        return None
    created = datetime.fromtimestamp(summary["Created"], UTC)
    ready = summary["State"] == "running"
    names = labels[POD_NAME], labels[POD_NAMESPACE], labels[POD_UID]
    return Sandbox(summary["Id"], *names, parts[1], ready, created, pid, addresses(summary))


def image_ref(inspected: Json) -> str:
    """docker-pullable://NAME@sha256:... where the image came from a registry, else docker://sha256:..."""
    digests = inspected.get("RepoDigests") or ()
    return f"docker-pullable://{digests[0]}" if digests else f"docker://{inspected['Id']}"


def image_of(inspected: Json) -> Image:
    """An image from /images/NAME/json."""
    names = (*(inspected.get("RepoDigests") or ()), *(inspected.get("RepoTags") or ()))
    user = (inspected.get("Config") or {}).get("User") or ""
    return Image(inspected["Id"], image_ref(inspected), names, inspected.get("Size", 0), user)


def container_of(inspected: Json, image: Json | None) -> Container:
    """A container from /containers/ID/json; without the termination message. `image`: /images/ID/json, None where it is gone."""
    labels, state = inspected["Config"]["Labels"], inspected["State"]
    parts = name_parts([inspected["Name"]])
    created = time_of(inspected["Created"])
    started, finished = time_of(state["StartedAt"]), time_of(state["FinishedAt"])
    reason, code, kind = "", int(state["ExitCode"]), "created"
    if state["Running"] or state.get("Paused"):
        kind, finished = "running", None
    elif finished is not None:
        kind = "exited"
        reason = "OOMKilled" if state["OOMKilled"] else ("Completed" if code == 0 else "Error")
    elif code != 0:
        # It could not be started: Docker leaves it as created, with the code of the failure.
        kind, reason, started, finished = "exited", "ContainerCannotRun", created, created
    tags = (image or {}).get("RepoTags") or (image or {}).get("RepoDigests") or ()
    return Container(
        inspected["Id"],
        labels[CONTAINER_NAME],
        labels[POD_UID],
        parts[1] if parts is not None else 0,
        kind,  # type: ignore[arg-type]  # one of State's words by the lines above
        tags[0] if tags else inspected["Config"]["Image"],
        image_ref(image) if image is not None else f"docker://{inspected['Image']}",
        code if kind == "exited" else 0,
        reason,
        state["Error"] if kind == "exited" else "",
        created,
        started,
        finished,
        termination_file(inspected),
        labels.get(HASH, ""),
    )


def termination_file(inspected: Json) -> str:
    """The host's file under the container's termination message path, "" where there is none."""
    path = inspected["Config"]["Labels"].get(TERMINATION_PATH, "")
    return next((m["Source"] for m in inspected.get("Mounts") or () if path and m["Destination"] == path), "")
