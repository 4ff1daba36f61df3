"""What a container is made of: environment, limits, security, labels (upstream: kubelet_pods.go, kuberuntime_container_linux.go)."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec

from pybernetes.api import types
from pybernetes.api.field import quote
from pybernetes.api.pods import NODE_CRITICAL, ZERO, container_requests, is_sidecar, qos_class
from pybernetes.api.quantity import Quantity
from pybernetes.api.types import core_v1 as core
from pybernetes.api.wellknown import CONFIG_FIRST_SEEN_ANNOTATION, CONFIG_SOURCE_ANNOTATION

from ..runtime.types import (
    ContainerConfig,
    Image,
    Mount,
    PortMapping,
    Resources,
    RuntimeFailure,
    SandboxConfig,
    Security,
)
from . import envfile
from .defaults import USUAL, Defaults
from .hosts import sandbox_hostname

CONFIG_ERROR = "CreateContainerConfigError"
MIN_SHARES, MAX_SHARES = 2, 262_144
MIN_QUOTA = 1000
KINDS = {"configmap": "ConfigMap", "secret": "Secret"}
REFERENCE = re.compile(r"\$\$|\$\(([^)]*)\)")  # a name goes on to the next ), whatever is in between

MAX_EXPANDED = 128 << 10  # characters: the kernel passes no longer argument or variable on (MAX_ARG_STRLEN)

# (volume, path) -> the text of a file that the pod's containers wrote; None for one that cannot be read.
Files = Mapping[tuple[str, str], str | None]
Lookup = Callable[[str, str], "core.ConfigMap | core.Secret | None"]  # (kind, name) -> object of the pod's namespace


def expand(text: str, variables: Mapping[str, str]) -> str:
    """Replaces $(NAME) where NAME is known and $$ by $ (third_party/forked/golang/expansion).

    RuntimeFailure where that makes more than a process can be given: variables that name each other twice double each time.
    """
    end, place, length = _last_end(text), 0, 0
    parts: list[str] = []
    for match in REFERENCE.finditer(text, 0, end):
        name = match.group(1)
        value = "$" if name is None else variables.get(name, match.group(0))
        parts += [text[place : match.start()], value]
        length += match.start() - place + len(value)
        place = match.end()
        if length > MAX_EXPANDED:
            raise RuntimeFailure("argument list too long: what variables refer to is longer than 128 KiB", CONFIG_ERROR)
    return "".join([*parts, text[place:end], text[end:].replace("$$", "$")])


def _last_end(text: str) -> int:
    """Behind it no reference ends; looking for one there, from each $( on, would cost the square of the length."""
    return text.rfind(")") + 1


def field_value(pod: core.Pod, path: str, ips: Sequence[str], host_ips: Sequence[str]) -> str:
    """A downward API field as text (fieldpath.ExtractFieldPathAsString and podFieldSelectorRuntimeValue)."""
    subscript = re.fullmatch(r"metadata\.(annotations|labels)\['(.+)'\]", path)
    if subscript:
        values = pod.metadata.annotations if subscript.group(1) == "annotations" else pod.metadata.labels
        return values.get(subscript.group(2), "")
    if path in ("metadata.annotations", "metadata.labels"):
        values = pod.metadata.annotations if path.endswith("annotations") else pod.metadata.labels
        return "\n".join(f"{key}={quote(value)}" for key, value in sorted(values.items()))
    fields = {
        "metadata.name": pod.metadata.name,
        "metadata.namespace": pod.metadata.namespace,
        "metadata.uid": pod.metadata.uid,
        "spec.nodeName": pod.spec.node_name,
        "spec.serviceAccountName": pod.spec.service_account_name,
        "status.hostIP": next(iter(host_ips), ""),
        "status.hostIPs": ",".join(host_ips),
        "status.podIP": next(iter(ips), ""),
        "status.podIPs": ",".join(ips),
    }
    if path not in fields:
        raise RuntimeFailure(f"unsupported fieldPath: {path}", CONFIG_ERROR)
    return fields[path]


def named_container(pod: core.Pod, name: str) -> core.Container:
    """The container that a resourceFieldRef names (findContainerInPod)."""
    everyone = [*pod.spec.containers, *pod.spec.init_containers]
    container = next((c for c in everyone if c.name == name), None)
    if container is None:
        raise RuntimeFailure(f"container {name} not found", CONFIG_ERROR)
    return container


def resource_value(
    container: core.Container, resource: str, divisor: Quantity | None, allocatable: Mapping[str, Quantity]
) -> str:
    """A resourceFieldRef as text; limits that are not set are the node's allocatable."""
    kind, _, name = resource.partition(".")
    chosen = container.resources.limits if kind == "limits" else container.resources.requests
    quantity = chosen.get(name)
    if quantity is None:
        quantity = allocatable.get(name, ZERO) if kind == "limits" else ZERO
    unit = divisor if divisor is not None and not divisor.is_zero() else Quantity.from_int(1)
    if name == "cpu":
        return str(-(-quantity.milli_value() // unit.milli_value()))
    return str(-(-quantity.value() // unit.value()))


def image_volumes(pod: core.Pod) -> dict[str, core.ImageVolumeSource]:
    """By name."""
    return {volume.name: volume.image for volume in pod.spec.volumes if volume.image is not None}


def sub_path(mount: core.VolumeMount, variables: Mapping[str, str]) -> str:
    """The part of its volume that a mount shows, "" for all. RuntimeFailure where it is none.

    Unlike in commands, a name in subPathExpr that is unknown or has an empty value is an error (ExpandContainerVolumeMounts).
    """
    path = mount.sub_path
    if mount.sub_path_expr:
        references = REFERENCE.finditer(mount.sub_path_expr[: _last_end(mount.sub_path_expr)])
        names = {match.group(1) for match in references} - {None}
        missing = sorted(name for name in names if not variables.get(name))
        if missing:
            raise RuntimeFailure(f"missing value for {', '.join(missing)}", CONFIG_ERROR)
        path = expand(mount.sub_path_expr, variables)
    if path.startswith("/"):
        raise RuntimeFailure(f"error SubPath `{path}` must not be an absolute path", CONFIG_ERROR)
    if ".." in path.split("/"):
        raise RuntimeFailure(f"unable to provision SubPath `{path}`: must not contain '..'", CONFIG_ERROR)
    return path


def image_mounts(
    pod: core.Pod, container: core.Container, images: Mapping[str, Image], variables: Mapping[str, str]
) -> list[Mount]:
    """Its mounts of volumes that are images; `images` by volume."""
    return [
        Mount("", mount.mount_path, read_only=True, image=images[mount.name].id, image_path=sub_path(mount, variables))
        for mount in container.volume_mounts
        if mount.name in image_volumes(pod)
    ]


def service_variables(services: Iterable[core.Service]) -> dict[str, str]:
    """The variables of services with a cluster IP (pkg/kubelet/envvars)."""
    result: dict[str, str] = {}
    for service in services:
        ip = service.spec.cluster_ip
        if not ip or ip == "None" or not service.spec.ports:
            continue
        prefix = service.metadata.name.upper().replace("-", "_")
        host = f"[{ip}]" if ":" in ip else ip
        first = service.spec.ports[0]
        result[f"{prefix}_SERVICE_HOST"] = ip
        result[f"{prefix}_SERVICE_PORT"] = str(first.port)
        for port in service.spec.ports:
            if port.name:
                result[f"{prefix}_SERVICE_PORT_{port.name.upper().replace('-', '_')}"] = str(port.port)
        for port in service.spec.ports:
            protocol = port.protocol or "TCP"
            url = f"{protocol.lower()}://{host}:{port.port}"
            one = f"{prefix}_PORT_{port.port}_{protocol}"
            if port is first:
                result[f"{prefix}_PORT"] = url
            result |= {one: url, f"{one}_PROTO": protocol.lower(), f"{one}_PORT": str(port.port), f"{one}_ADDR": ip}
    return result


def references(pod: core.Pod) -> list[tuple[str, str]]:
    """(kind, name) of each config map and secret that containers' environments name."""
    result: list[tuple[str, str]] = []
    for container in [*pod.spec.init_containers, *pod.spec.containers]:
        for source in container.env_from:
            if source.config_map_ref is not None:
                result.append(("configmap", source.config_map_ref.name))
            if source.secret_ref is not None:
                result.append(("secret", source.secret_ref.name))
        for variable in container.env:
            of = variable.value_from
            if of is not None and of.config_map_key_ref is not None:
                result.append(("configmap", of.config_map_key_ref.name))
            if of is not None and of.secret_key_ref is not None:
                result.append(("secret", of.secret_key_ref.name))
    return result


def _data(source: core.ConfigMap | core.Secret) -> dict[str, str]:
    if isinstance(source, core.Secret):
        return {key: value.decode("utf-8", "replace") for key, value in source.data.items()}
    return dict(source.data)


def _key(kind: str, name: str, key: str, optional: bool, namespace: str, lookup: Lookup) -> str | None:
    source = lookup(kind, name)
    if source is None:
        if optional:
            return None
        raise RuntimeFailure(f'{kind.lower()} "{name}" not found', CONFIG_ERROR)
    values = _data(source)
    if key not in values:
        if optional:
            return None
        raise RuntimeFailure(f"couldn't find key {key} in {KINDS[kind]} {namespace}/{name}", CONFIG_ERROR)
    return values[key]


def _of_file(ref: core.FileKeySelector, files: Files) -> str | None:
    """None for what may be missing and is; a file that is missing is an error all the same, as upstream's."""
    if len(ref.key) > envfile.MAX_KEY:
        text = f'environment variable key "{ref.key}" exceeds maximum length of {envfile.MAX_KEY} characters'
        raise RuntimeFailure(text, CONFIG_ERROR)
    written = files.get((ref.volume_name, ref.path))
    if written is None:
        raise RuntimeFailure("couldn't parse env file", CONFIG_ERROR)
    try:
        value = envfile.value_of(written, ref.key)
    except envfile.Unreadable:  # what the file holds is nobody's to read in an event
        raise RuntimeFailure("couldn't parse env file", CONFIG_ERROR) from None
    if value is None and not ref.optional:
        raise RuntimeFailure(f'environment variable key "{ref.key}" not found in file "{ref.path}"', CONFIG_ERROR)
    if value is not None and len(value.encode()) > envfile.MAX_VALUE:
        text = f'environment variable value for key "{ref.key}" exceeds maximum size of 32KB'
        raise RuntimeFailure(text, CONFIG_ERROR)
    return value


def environment(
    pod: core.Pod,
    container: core.Container,
    services: Mapping[str, str],
    lookup: Lookup,
    ips: Sequence[str],
    host_ips: Sequence[str],
    allocatable: Mapping[str, Quantity],
    files: Files,
) -> dict[str, str]:
    """All variables of a container; RuntimeFailure with CreateContainerConfigError where a source is missing."""
    result: dict[str, str] = {}
    for source in container.env_from:
        reference = source.config_map_ref or source.secret_ref
        if reference is None:
            continue
        kind = "configmap" if source.config_map_ref is not None else "secret"
        referent = lookup(kind, reference.name)
        if referent is None:
            if reference.optional:
                continue
            raise RuntimeFailure(f'{kind} "{reference.name}" not found', CONFIG_ERROR)
        for name, text in _data(referent).items():
            result[source.prefix + name] = text
    expansions = {**services, **result}
    for variable in container.env:
        value: str | None = variable.value
        source_of = variable.value_from
        if source_of is None:
            value = expand(variable.value, expansions)
        elif source_of.field_ref is not None:
            value = field_value(pod, source_of.field_ref.field_path, ips, host_ips)
        elif source_of.resource_field_ref is not None:
            ref = source_of.resource_field_ref
            other = named_container(pod, ref.container_name) if ref.container_name else container
            value = resource_value(other, ref.resource, ref.divisor, allocatable)
        elif source_of.config_map_key_ref is not None:
            key = source_of.config_map_key_ref
            value = _key("configmap", key.name, key.key, bool(key.optional), pod.metadata.namespace, lookup)
        elif source_of.secret_key_ref is not None:
            secret = source_of.secret_key_ref
            value = _key("secret", secret.name, secret.key, bool(secret.optional), pod.metadata.namespace, lookup)
        elif source_of.file_key_ref is not None:
            value = _of_file(source_of.file_key_ref, files)
        if value is not None:
            result[variable.name] = expansions[variable.name] = value
    return {**{k: v for k, v in services.items() if k not in result}, **result}


def limits_whole_pod(pod: core.Pod, resource: str) -> bool:
    """Whether the pod says a limit for all of it, or every one of its containers has one."""
    whole = pod.spec.resources.limits if pod.spec.resources is not None else {}
    running = [*filter(is_sidecar, pod.spec.init_containers), *pod.spec.containers]
    everywhere = all(not container.resources.limits.get(resource, ZERO).is_zero() for container in running)
    return everywhere or not whole.get(resource, ZERO).is_zero()


def cpu_shares(milli: int) -> int:
    return min(max(milli * 1024 // 1000, MIN_SHARES), MAX_SHARES) if milli else MIN_SHARES


def oom_score_adj(pod: core.Pod, container: core.Container, memory_capacity: int) -> int:
    """How readily the kernel kills it (pkg/kubelet/qos/policy.go); a sidecar no more readily than what it serves."""
    quality = qos_class(pod.spec)
    if quality == "Guaranteed" or (pod.spec.priority or 0) >= NODE_CRITICAL:
        return -997
    if quality == "BestEffort":
        return 1000
    rest = _share_of_the_rest(pod)
    request = container.resources.requests.get("memory", ZERO).value() + rest
    if is_sidecar(container):
        served = min(c.resources.requests.get("memory", ZERO).value() for c in pod.spec.containers) + rest
        request = max(request, served)
    score = 1000 - 1000 * request // max(memory_capacity, 1)
    return 999 if score == 1000 else max(score, 3)


def _share_of_the_rest(pod: core.Pod) -> int:
    """What a container has of the memory that the pod asks for as a whole beyond what its containers do."""
    spec = pod.spec
    if spec.resources is None or "memory" not in spec.resources.requests:
        return 0
    containers = [*spec.init_containers, *spec.containers]
    asked = container_requests(spec).get("memory", ZERO).value()
    return max(spec.resources.requests["memory"].value() - asked, 0) // len(containers)


def resources(pod: core.Pod, container: core.Container, memory_capacity: int, defaults: Defaults = USUAL) -> Resources:
    limits, requests = container.resources.limits, container.resources.requests
    limit = limits.get("cpu", ZERO).milli_value()
    request = requests["cpu"].milli_value() if "cpu" in requests else limit
    quota = defaults.quota(limit, MIN_QUOTA)
    memory = limits.get("memory", ZERO).value()
    return Resources(
        cpu_shares(request), quota, defaults.cpu_period, memory, oom_score_adj(pod, container, memory_capacity)
    )


def security(
    pod: core.Pod, container: core.Container, image: Image, profiles: str = "", defaults: Defaults = USUAL
) -> Security:
    """The security context of pod and container together; RuntimeFailure where it must not be root but is.

    `profiles`: where seccomp profiles of type Localhost lie.
    """
    own = container.security_context or core.SecurityContext()
    shared = pod.spec.security_context or core.PodSecurityContext()
    user = own.run_as_user if own.run_as_user is not None else shared.run_as_user
    group = own.run_as_group if own.run_as_group is not None else shared.run_as_group
    if own.run_as_non_root if own.run_as_non_root is not None else shared.run_as_non_root:
        _check_non_root(pod, container, user, image)
    name = str(user) if user is not None else (image.user.split(":")[0] or "0")
    groups = [*([shared.fs_group] if shared.fs_group is not None else []), *shared.supplemental_groups]
    capabilities = own.capabilities or core.Capabilities()
    apparmor = own.app_armor_profile or shared.app_armor_profile
    return Security(
        user=f"{name}:{group}" if group is not None else name,
        privileged=bool(own.privileged),
        read_only_root=bool(own.read_only_root_filesystem),
        no_new_privileges=own.allow_privilege_escalation is False,
        add_capabilities=tuple(capabilities.add),
        drop_capabilities=tuple(capabilities.drop),
        groups=tuple(groups),
        seccomp=_seccomp(own.seccomp_profile or shared.seccomp_profile, profiles, defaults.seccomp),
        apparmor=_apparmor(apparmor),
        proc_mount=own.proc_mount or "Default",
        selinux=_selinux(own.se_linux_options or shared.se_linux_options),
    )


def _seccomp(profile: core.SeccompProfile | None, profiles: str, default: bool) -> str:
    if profile is None:
        return "runtime/default" if default else "unconfined"
    if profile.type == "Unconfined":
        return "unconfined"
    if profile.type == "RuntimeDefault":
        return "runtime/default"
    return f"localhost/{profiles}/{profile.localhost_profile}"


def _apparmor(profile: core.AppArmorProfile | None) -> str:
    if profile is None or profile.type == "RuntimeDefault":
        return ""
    return profile.localhost_profile or "" if profile.type == "Localhost" else "unconfined"


def _selinux(options: core.SELinuxOptions | None) -> tuple[str, ...]:
    if options is None:
        return ()
    named = (("user", options.user), ("role", options.role), ("type", options.type), ("level", options.level))
    return tuple(f"{name}:{value}" for name, value in named if value)


def _check_non_root(pod: core.Pod, container: core.Container, user: int | None, image: Image) -> None:
    where = f'(pod: "{pod.metadata.name}_{pod.metadata.namespace}({pod.metadata.uid})", container: {container.name})'
    of_image = image.user.split(":")[0]
    if user is not None:
        if user == 0:
            raise RuntimeFailure(f"container's runAsUser breaks non-root policy {where}", CONFIG_ERROR)
    elif of_image and not of_image.isdigit():
        text = f"container has runAsNonRoot and image has non-numeric user ({of_image}), cannot verify user is non-root {where}"
        raise RuntimeFailure(text, CONFIG_ERROR)
    elif not of_image or int(of_image) == 0:
        raise RuntimeFailure(f"container has runAsNonRoot and image will run as root {where}", CONFIG_ERROR)


def cgroup_parent(pod: core.Pod) -> str:
    quality = qos_class(pod.spec)
    middle = "" if quality == "Guaranteed" else f"{quality.lower()}/"
    return f"/kubepods/{middle}pod{pod.metadata.uid}"


def ports(container: core.Container) -> list[dict[str, object]]:
    """A container's ports as upstream's annotation has them."""
    result = []
    for port in container.ports:
        named: dict[str, object] = {"name": port.name} if port.name else {}
        if port.host_port:
            named["hostPort"] = port.host_port
        named |= {"containerPort": port.container_port, "protocol": port.protocol or "TCP"}
        if port.host_ip:
            named["hostIP"] = port.host_ip
        result.append(named)
    return result


def port_mappings(pod: core.Pod) -> tuple[PortMapping, ...]:
    """The ports that the node's address has, too."""
    return tuple(
        PortMapping(port.container_port, port.host_port, port.protocol or "TCP", port.host_ip)
        for container in [*pod.spec.init_containers, *pod.spec.containers]
        for port in container.ports
        if port.host_port
    )


def sandbox_config(
    pod: core.Pod,
    attempt: int,
    cluster_domain: str = "",
    resolv_conf: str = "",
    seen: str = "",
    pod_logs_dir: str = "/var/log/pods",
    runtime_handler: str = "",
) -> SandboxConfig:
    """`seen`: when the kubelet first saw the pod. RuntimeFailure where its hostname is too long."""
    spec, meta = pod.spec, pod.metadata
    context = spec.security_context or core.PodSecurityContext()
    return SandboxConfig(
        meta.name,
        meta.namespace,
        meta.uid,
        attempt,
        "" if spec.host_network else sandbox_hostname(pod, cluster_domain),
        cgroup_parent(pod),
        spec.host_network,
        spec.host_pid,
        spec.host_ipc,
        bool(spec.share_process_namespace),
        {sysctl.name: sysctl.value for sysctl in context.sysctls},
        (*([context.fs_group] if context.fs_group is not None else []), *context.supplemental_groups),
        dict(meta.labels),
        {CONFIG_FIRST_SEEN_ANNOTATION: seen, CONFIG_SOURCE_ANNOTATION: "api", **meta.annotations},
        resolv_conf,
        port_mappings(pod),
        _sandbox_user(context),
        log_directory(pod, pod_logs_dir),
        host_users=spec.host_users is not False,
        runtime_handler=runtime_handler,
    )


def _sandbox_user(context: core.PodSecurityContext) -> str:
    """The pod's own user; "" leaves the image's. Docker takes no group without a user."""
    if context.run_as_user is None:
        return ""
    return f"{context.run_as_user}" if context.run_as_group is None else f"{context.run_as_user}:{context.run_as_group}"


def container_hash(container: core.Container) -> str:
    """Changes when the container must be made anew; upstream counts only name and image (kubecontainer.HashContainer)."""
    value = 0x811C9DC5
    for byte in msgspec.json.encode([container.name, container.image]):
        value = ((value ^ byte) * 0x01000193) & 0xFFFFFFFF
    return f"{value:x}"


def log_directory(pod: core.Pod, pod_logs_dir: str) -> str:
    """/var/log/pods/NAMESPACE_NAME_UID."""
    meta = pod.metadata
    return f"{pod_logs_dir}/{meta.namespace}_{meta.name}_{meta.uid}"


def container_config(
    pod: core.Pod,
    container: core.Container,
    attempt: int,
    image: Image,
    variables: Mapping[str, str],
    mounts: Sequence[Mount],
    memory_capacity: int,
    profiles: str = "",
    defaults: Defaults = USUAL,
) -> ContainerConfig:
    """Everything that the runtime needs to make the container."""
    grace = pod.spec.termination_grace_period_seconds
    annotations = {
        "annotation.io.kubernetes.container.hash": container_hash(container),
        "annotation.io.kubernetes.container.restartCount": str(attempt),
        "annotation.io.kubernetes.container.terminationMessagePath": container.termination_message_path,
        "annotation.io.kubernetes.container.terminationMessagePolicy": container.termination_message_policy,
        "annotation.io.kubernetes.pod.terminationGracePeriod": "" if grace is None else str(grace),
    }
    if container.lifecycle is not None and container.lifecycle.pre_stop is not None:
        handler = types.encode(container.lifecycle.pre_stop).decode()
        annotations["annotation.io.kubernetes.container.preStopHandler"] = handler
    if container.ports:
        text = json.dumps(ports(container), separators=(",", ":"))
        annotations["annotation.io.kubernetes.container.ports"] = text
    return ContainerConfig(
        container.name,
        attempt,
        image.id,
        tuple(expand(word, variables) for word in container.command),
        tuple(expand(word, variables) for word in container.args),
        container.working_dir,
        tuple(variables.items()),
        tuple(mounts),
        resources(pod, container, memory_capacity, defaults),
        security(pod, container, image, profiles, defaults),
        annotations,
        container.stdin,
        container.stdin_once,
        container.tty,
        init=any(init.name == container.name for init in pod.spec.init_containers) and not is_sidecar(container),
        restart_policy=container.restart_policy or pod.spec.restart_policy,
        stop_signal=(container.lifecycle.stop_signal or "") if container.lifecycle is not None else "",
        log_path=f"{container.name}/{attempt}.log",
    )
