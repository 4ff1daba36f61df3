"""What lies in a volume that is made of objects (upstream: pkg/volume/{configmap,secret,downwardapi,projected})."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from pybernetes.api.quantity import Quantity
from pybernetes.api.types import core_v1 as core

from ..machine.config import field_value, named_container, resource_value
from ..runtime.types import RuntimeFailure

DEFAULT_MODE = 0o644
TOKEN_MODE = 0o600  # where a user or group owns the volume: nobody else may read the token
TOKEN_SECONDS = 3600


@dataclass(frozen=True, slots=True)
class File:
    """A file of a volume; `uid` None leaves root."""

    data: bytes
    mode: int = DEFAULT_MODE
    uid: int | None = None


Payload = dict[str, File]
Find = Callable[[str, str], "core.ConfigMap | core.Secret | None"]  # (configmap or secret, name)
Token = Callable[[core.ServiceAccountTokenProjection], str]


@dataclass(frozen=True, slots=True)
class Facts:
    """What a downward API volume tells of."""

    ips: Sequence[str]
    host_ips: Sequence[str]
    allocatable: Mapping[str, Quantity]


def data_of(source: core.ConfigMap | core.Secret) -> dict[str, bytes]:
    """An object's keys and bytes."""
    if isinstance(source, core.Secret):
        return dict(source.data)
    return {**{key: text.encode() for key, text in source.data.items()}, **source.binary_data}


def of_object(kind: str, name: str, items: Sequence[core.KeyToPath], mode: int, optional: bool, find: Find) -> Payload:
    """A config map or secret; RuntimeFailure where it or a key is missing and not optional."""
    obj = find(kind, name)
    if obj is None:
        if optional:
            return {}
        raise RuntimeFailure(f'{kind} "{name}" not found')
    data = data_of(obj)
    if not items:
        return {key: File(value, mode) for key, value in data.items()}
    result = {}
    for item in items:
        if item.key in data:
            result[item.path] = File(data[item.key], mode if item.mode is None else item.mode)
        elif not optional:
            what = (
                "configmap references non-existent config key"
                if kind == "configmap"
                else "references non-existent secret key"
            )
            raise RuntimeFailure(f"{what}: {item.key}")
    return result


def of_downward(pod: core.Pod, items: Sequence[core.DownwardAPIVolumeFile], mode: int, facts: Facts) -> Payload:
    """Fields and resources of the pod."""
    result = {}
    for item in items:
        text = ""
        if item.field_ref is not None:
            text = field_value(pod, item.field_ref.field_path, facts.ips, facts.host_ips)
        elif item.resource_field_ref is not None:
            ref = item.resource_field_ref
            container = named_container(pod, ref.container_name)
            text = resource_value(container, ref.resource, ref.divisor, facts.allocatable)
        result[item.path] = File(text.encode(), mode if item.mode is None else item.mode)
    return result


def of_projected(pod: core.Pod, source: core.ProjectedVolumeSource, find: Find, facts: Facts, token: Token) -> Payload:
    """All sources in one directory."""
    mode = DEFAULT_MODE if source.default_mode is None else source.default_mode
    result: Payload = {}
    for part in source.sources:
        if part.config_map is not None:
            ref = part.config_map
            result |= of_object("configmap", ref.name, ref.items, mode, bool(ref.optional), find)
        elif part.secret is not None:
            secret = part.secret
            result |= of_object("secret", secret.name, secret.items, mode, bool(secret.optional), find)
        elif part.downward_api is not None:
            result |= of_downward(pod, part.downward_api.items, mode, facts)
        elif part.service_account_token is not None:
            owner, group = fs_user(pod), fs_group(pod)
            file = File(token(part.service_account_token).encode(), mode, owner)
            result[part.service_account_token.path] = (
                file if owner is None and group is None else replace(file, mode=TOKEN_MODE)
            )
        else:
            raise RuntimeFailure("a source of the projected volume is of a kind that this node does not know")
    return result


def fs_group(pod: core.Pod) -> int | None:
    return pod.spec.security_context.fs_group if pod.spec.security_context is not None else None


def fs_user(pod: core.Pod) -> int | None:
    """The user of all containers, where it is one (FsUserFrom)."""
    shared = pod.spec.security_context.run_as_user if pod.spec.security_context is not None else None
    users: set[int | None] = set()
    for container in [*pod.spec.init_containers, *pod.spec.containers]:
        own = container.security_context.run_as_user if container.security_context is not None else None
        users.add(own if own is not None else shared)
    return users.pop() if len(users) == 1 else None


def references(volume: core.Volume) -> list[tuple[str, str]]:
    """(configmap or secret, name) that a volume is made of."""
    result = []
    if volume.config_map is not None:
        result.append(("configmap", volume.config_map.name))
    if volume.secret is not None:
        result.append(("secret", volume.secret.secret_name))
    for part in volume.projected.sources if volume.projected is not None else ():
        if part.config_map is not None:
            result.append(("configmap", part.config_map.name))
        if part.secret is not None:
            result.append(("secret", part.secret.name))
    return result


def of_volume(pod: core.Pod, volume: core.Volume, find: Find, facts: Facts, token: Token) -> Payload | None:
    """The files of a volume that is made of objects; None for other kinds."""
    if volume.config_map is not None:
        ref = volume.config_map
        mode = DEFAULT_MODE if ref.default_mode is None else ref.default_mode
        return of_object("configmap", ref.name, ref.items, mode, bool(ref.optional), find)
    if volume.secret is not None:
        secret = volume.secret
        mode = DEFAULT_MODE if secret.default_mode is None else secret.default_mode
        return of_object("secret", secret.secret_name, secret.items, mode, bool(secret.optional), find)
    if volume.downward_api is not None:
        mode = DEFAULT_MODE if volume.downward_api.default_mode is None else volume.downward_api.default_mode
        return of_downward(pod, volume.downward_api.items, mode, facts)
    if volume.projected is not None:
        return of_projected(pod, volume.projected, find, facts, token)
    return None
