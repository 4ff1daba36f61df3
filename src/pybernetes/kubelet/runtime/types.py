"""CRI's words: what is said to a container runtime and by it (upstream: cri-api runtime/v1/api.proto)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

Propagation = Literal["", "HostToContainer", "Bidirectional"]
State = Literal["created", "running", "exited"]


class RuntimeFailure(Exception):
    """The runtime refused or failed; the message is its own. `reason` is the waiting reason where one is known."""

    def __init__(self, message: str, reason: str = "") -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Mount:
    """A directory or file of the host in a container; `propagation` is the API's word, "" for None.

    With an `image` (its id) the source is that image's files, or those below `image_path` of it.
    """

    host_path: str
    container_path: str
    read_only: bool = False
    propagation: Propagation = ""
    image: str = ""
    image_path: str = ""


@dataclass(frozen=True, slots=True)
class Device:
    """A block device of the host in a container."""

    host_path: str
    container_path: str
    permissions: str = "mrw"


@dataclass(frozen=True, slots=True)
class Resources:
    """The limits of a cgroup, as CRI's LinuxContainerResources; 0 leaves the runtime's default."""

    cpu_shares: int = 0
    cpu_quota: int = 0
    cpu_period: int = 0
    memory_bytes: int = 0
    oom_score_adj: int = 0


@dataclass(frozen=True, slots=True)
class Security:
    """CRI's LinuxContainerSecurityContext; `user` is a name or number, ":GROUP" behind it where one is given; "" the image's."""

    user: str = ""
    privileged: bool = False
    read_only_root: bool = False
    no_new_privileges: bool = False
    add_capabilities: tuple[str, ...] = ()
    drop_capabilities: tuple[str, ...] = ()
    groups: tuple[int, ...] = ()
    seccomp: str = "unconfined"  # "runtime/default", "unconfined", or "localhost/PATH" of a profile on the node
    apparmor: str = ""  # "" the runtime's default
    proc_mount: str = "Default"
    selinux: tuple[str, ...] = ()  # user:U, role:R, type:T, level:L


@dataclass(frozen=True, slots=True)
class PortMapping:
    """A container's port that the node's address has too."""

    container_port: int
    host_port: int
    protocol: str = "TCP"
    host_ip: str = ""


@dataclass(frozen=True, slots=True)
class SandboxConfig:
    """A pod's sandbox."""

    pod_name: str
    namespace: str
    uid: str
    attempt: int
    hostname: str
    cgroup_parent: str = ""
    host_network: bool = False
    host_pid: bool = False
    host_ipc: bool = False
    share_process_namespace: bool = False
    sysctls: Mapping[str, str] = field(default_factory=dict)
    groups: tuple[int, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    resolv_conf: str = ""  # the file's text; "" leaves the runtime's
    ports: tuple[PortMapping, ...] = ()
    user: str = ""  # as Security's
    log_directory: str = ""  # where the node's log collectors look; the containers' log paths are relative to it
    host_users: bool = True  # False: in a user namespace of its own
    runtime_handler: str = ""  # its RuntimeClass's; "" is the runtime's own


@dataclass(frozen=True, slots=True)
class ContainerConfig:
    """A container of a pod; `command` and `args` empty leave the image's."""

    name: str
    attempt: int
    image: str
    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    working_dir: str = ""
    envs: tuple[tuple[str, str], ...] = ()
    mounts: tuple[Mount, ...] = ()
    resources: Resources = Resources()
    security: Security = Security()
    labels: Mapping[str, str] = field(default_factory=dict)
    stdin: bool = False
    stdin_once: bool = False
    tty: bool = False
    init: bool = False  # what follows waits until it has ended
    restart_policy: str = ""  # for a runtime that decides itself when a run ends, as the hollow one
    target_id: str = ""  # a container whose processes this one sees
    stop_signal: str = ""  # "" is the image's
    devices: tuple[Device, ...] = ()
    log_path: str = ""  # NAME/ATTEMPT.log below the sandbox's log directory: the log, or a link to it


@dataclass(frozen=True, slots=True)
class Sandbox:
    """What the runtime knows of a sandbox.

    `pid` is its first process, 0 where that is not known; `ips` its addresses where the runtime has made its network.
    """

    id: str
    pod_name: str
    namespace: str
    uid: str
    attempt: int
    ready: bool
    created_at: datetime
    pid: int = 0
    ips: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Container:
    """What the runtime knows of a container; `message` is the termination message's raw text."""

    id: str
    name: str
    pod_uid: str
    attempt: int
    state: State
    image: str = ""
    image_id: str = ""
    exit_code: int = 0
    reason: str = ""
    message: str = ""
    created_at: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    termination_path: str = ""
    hash: str = ""  # of the spec that it was made from


@dataclass(frozen=True, slots=True)
class Image:
    """An image that is present. `user` is what it runs as by itself."""

    id: str
    ref: str
    names: tuple[str, ...] = ()
    size: int = 0
    user: str = ""


@dataclass(frozen=True, slots=True)
class ExecResult:
    """A command's end; `exit_code` -1 where it ran out of time."""

    exit_code: int
    output: bytes


@dataclass(frozen=True, slots=True)
class LogOptions:
    """Which part of a log; `tail` None is all of it."""

    follow: bool = False
    tail: int | None = None
    since: datetime | None = None
    timestamps: bool = False
    stdout: bool = True
    stderr: bool = True
