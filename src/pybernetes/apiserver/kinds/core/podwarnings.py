"""What is odd in a pod or template, though not wrong: told in the Warning header (upstream: pkg/api/pod/warnings.go, pkg/api/node)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from pybernetes.api import field
from pybernetes.api.field import Path
from pybernetes.api.names import dns1123_label_errors
from pybernetes.api.wellknown import (
    APP_ARMOR_CONTAINER_ANNOTATION_PREFIX,
    LABEL_ARCH,
    LABEL_FAILURE_DOMAIN_BETA_REGION,
    LABEL_FAILURE_DOMAIN_BETA_ZONE,
    LABEL_INSTANCE_TYPE,
    LABEL_OS,
)

from ..validation import quantity
from .profiles import SECCOMP_CONTAINER, SECCOMP_POD, apparmor_field

Object = Mapping[str, Any]

DEPRECATED_LABELS: Mapping[str, str] = {
    LABEL_ARCH: 'deprecated since v1.14; use "kubernetes.io/arch" instead',
    LABEL_OS: 'deprecated since v1.14; use "kubernetes.io/os" instead',
    LABEL_FAILURE_DOMAIN_BETA_REGION: 'deprecated since v1.17; use "topology.kubernetes.io/region" instead',
    LABEL_FAILURE_DOMAIN_BETA_ZONE: 'deprecated since v1.17; use "topology.kubernetes.io/zone" instead',
    LABEL_INSTANCE_TYPE: 'deprecated since v1.17; use "node.kubernetes.io/instance-type" instead',
}
DEPRECATED_ANNOTATIONS: Mapping[str, str] = {
    "scheduler.alpha.kubernetes.io/critical-pod": 'non-functional in v1.16+; use the "priorityClassName" field instead',
    "security.alpha.kubernetes.io/sysctls": 'non-functional in v1.11+; use the "sysctls" field instead',
    "security.alpha.kubernetes.io/unsafe-sysctls": 'non-functional in v1.11+; use the "sysctls" field instead',
}
DEPRECATED_VOLUMES: Mapping[str, str] = {
    "photonPersistentDisk": "deprecated in v1.11, non-functional in v1.16+",
    "gitRepo": "deprecated in v1.11",
    "scaleIO": "deprecated in v1.16, non-functional in v1.22+",
    "flocker": "deprecated in v1.22, non-functional in v1.25+",
    "storageos": "deprecated in v1.22, non-functional in v1.25+",
    "quobyte": "deprecated in v1.22, non-functional in v1.25+",
    "glusterfs": "deprecated in v1.25, non-functional in v1.26+",
    "cephfs": "deprecated in v1.28, non-functional in v1.31+",
    "rbd": "deprecated in v1.28, non-functional in v1.31+",
}
SECCOMP = 'non-functional in v1.27+; use the "seccompProfile" field instead'
TOLD = 4096  # warnings of one sort: the header holds as many characters (warningheader.TOTAL)
NULL_SELECTOR = "a null labelSelector results in matching no pod"
WHOLE_BYTES = ("memory", "ephemeral-storage")
NAMES = "a DNS label is recommended:"


def on_create(pod: Object, old: Object | None) -> list[str]:
    """Of a new pod; updates are too many to look at each, as upstream finds."""
    if old is not None:
        return []
    metadata = pod.get("metadata") or {}
    return name_warnings(metadata, "the Pod's hostname") + warnings(Path(), pod.get("spec") or {}, metadata)


def name_warnings(metadata: Object, what: str = "Pod names and hostnames") -> list[str]:
    """Of names that are no host names."""
    problems = dns1123_label_errors(metadata.get("name") or "")
    if not problems:
        return []
    surprising = "which can result in surprising behavior"
    return [f"metadata.name: this is used in {what}, {surprising}; {NAMES} [{' '.join(problems)}]"]


def of_template(path: str, *, named: bool = True) -> Any:
    """The hook of a kind with a pod template at `path` (`spec.template`): at creation, and when the object's generation changes."""
    parts = path.split(".")

    def hook(obj: Object, old: Object | None) -> list[str]:
        metadata = obj.get("metadata") or {}
        if old is not None and metadata.get("generation") == (old.get("metadata") or {}).get("generation"):
            return []
        template: Any = obj
        for part in parts:
            template = (template or {}).get(part)
        told = name_warnings(metadata) if named and old is None else []
        if template is None:
            return told
        return told + warnings(Path(path), template.get("spec") or {}, template.get("metadata") or {}, template=True)

    return hook


def warnings(path: Path, spec: Object, metadata: Object, *, template: bool = False) -> list[str]:
    """`path` is that of the pod or template itself."""
    at, annotations = path / "spec", metadata.get("annotations") or {}
    told = [
        f"{(at / 'nodeSelector').key(k)}: {DEPRECATED_LABELS[k]}"
        for k in spec.get("nodeSelector") or ()
        if k in DEPRECATED_LABELS
    ]
    if affinity := spec.get("affinity"):
        told += _affinity(at / "affinity", affinity)
    told += _spread(at / "topologySpreadConstraints", spec.get("topologySpreadConstraints") or ())
    if annotations:
        told += _annotations(path / "metadata" / "annotations", annotations, spec, template=template)
    for index, volume in enumerate(spec.get("volumes") or ()):
        told += [
            f"{at / 'volumes' / index / name}: {why}" for name, why in DEPRECATED_VOLUMES.items() if name in volume
        ]
    told += _repeated(at / "hostAliases", spec.get("hostAliases") or (), "ip")
    secrets = spec.get("imagePullSecrets") or ()
    told += _repeated(at / "imagePullSecrets", secrets, "name")
    told += [
        f'{at / "imagePullSecrets" / i / "name"}: invalid empty name ""'
        for i, s in enumerate(secrets)
        if not s.get("name")
    ]
    told += _fractions(at / "overhead", spec.get("overhead") or {})
    for place, container in _containers(at, spec):
        resources = container.get("resources") or {}
        for name in ("limits", "requests"):
            told += _fractions(place / "resources" / name, resources.get(name) or {})
        told += _environment(place / "env", container.get("env") or ())
    told += _ports(list(_containers(at, spec)))
    seconds = spec.get("terminationGracePeriodSeconds")
    if seconds is not None and seconds < 0:
        why = "must be >= 0; negative values are invalid and will be treated as 1"
        told.append(f"{at / 'terminationGracePeriodSeconds'}: {why}")
    return told


def _containers(path: Path, spec: Object) -> Iterator[tuple[Path, Object]]:
    for kind in ("initContainers", "containers", "ephemeralContainers"):
        for index, container in enumerate(spec.get(kind) or ()):
            yield path / kind / index, container


# --- where it runs ------------------------------------------------------------------------------


def _affinity(path: Path, affinity: Object) -> list[str]:
    node, at = affinity.get("nodeAffinity") or {}, path / "nodeAffinity"
    required, preferred = (
        "requiredDuringSchedulingIgnoredDuringExecution",
        "preferredDuringSchedulingIgnoredDuringExecution",
    )
    told: list[str] = []
    for index, term in enumerate((node.get(required) or {}).get("nodeSelectorTerms") or ()):
        told += _term(at / required / "nodeSelectorTerms" / index, term)
    for index, term in enumerate(node.get(preferred) or ()):
        told += _term(at / preferred / index / "preference", term.get("preference") or {})
    for kind in ("podAffinity", "podAntiAffinity"):
        rules, place = affinity.get(kind) or {}, path / kind
        for index, term in enumerate(rules.get(required) or ()):
            if term.get("labelSelector") is None:
                told.append(f"{place / required / index / 'labelSelector'}: {NULL_SELECTOR}")
        for index, term in enumerate(rules.get(preferred) or ()):
            if (term.get("podAffinityTerm") or {}).get("labelSelector") is None:
                told.append(f"{place / preferred / index / 'podAffinityTerm' / 'labelSelector'}: {NULL_SELECTOR}")
    return told


def _term(path: Path, term: Object) -> list[str]:
    keys = [(index, e.get("key") or "") for index, e in enumerate(term.get("matchExpressions") or ())]
    at = path / "matchExpressions"
    return [f"{at / i / 'key'}: {key} is {DEPRECATED_LABELS[key]}" for i, key in keys if key in DEPRECATED_LABELS]


def _spread(path: Path, constraints: Sequence[Object]) -> list[str]:
    told: list[str] = []
    for index, constraint in enumerate(constraints):
        key = constraint.get("topologyKey") or ""
        if key in DEPRECATED_LABELS:
            told.append(f"{path / index / 'topologyKey'}: {key} is {DEPRECATED_LABELS[key]}")
        if constraint.get("labelSelector") is None:
            told.append(f"{path / index / 'labelSelector'}: {NULL_SELECTOR}")
    return told


# --- what it says of itself -----------------------------------------------------------------------


def _annotations(path: Path, annotations: Object, spec: Object, *, template: bool) -> list[str]:
    told = [f"{path.key(key)}: {why}" for key, why in DEPRECATED_ANNOTATIONS.items() if key in annotations]
    security = spec.get("securityContext") or {}
    if SECCOMP_POD in annotations and security.get("seccompProfile") is None:
        told.append(f"{path.key(SECCOMP_POD)}: {SECCOMP}")
    for _, container in _containers(path, spec):
        own, name = container.get("securityContext") or {}, container.get("name") or ""
        if SECCOMP_CONTAINER + name in annotations and own.get("seccompProfile") is None:
            told.append(f"{path.key(SECCOMP_CONTAINER + name)}: {SECCOMP}")
        given, whole = annotations.get(APP_ARMOR_CONTAINER_ANNOTATION_PREFIX + name), security.get("appArmorProfile")
        same = whole is not None and given is not None and whole == apparmor_field(given)
        if template and given is not None and own.get("appArmorProfile") is None and not same:
            why = 'deprecated since v1.30; use the "appArmorProfile" field instead'
            told.append(f"{path.key(APP_ARMOR_CONTAINER_ANNOTATION_PREFIX + name)}: {why}")
    return told


def _repeated(path: Path, items: Sequence[Object], name: str) -> list[str]:
    told: list[str] = []
    seen: set[str] = set()
    for index, item in enumerate(items):
        value = item.get(name) or ""
        if value in seen:
            told.append(f"{path / index / name}: duplicate {name} {field.quote(value)}")
        seen.add(value)
    return told


def _fractions(path: Path, amounts: Mapping[str, str]) -> list[str]:
    return [
        f"{path.key(name)}: fractional byte value {field.quote(amounts[name])} is invalid, must be an integer"
        for name in WHOLE_BYTES
        if name in amounts and quantity(amounts[name]).milli_value() % 1000
    ]


def _environment(path: Path, variables: Sequence[Object]) -> list[str]:
    told: list[str] = []
    seen: set[str] = set()
    for index, variable in enumerate(variables):
        name, value = variable.get("name") or "", variable.get("value") or ""
        reference = f"$({name})"
        if name in seen and (variable.get("valueFrom") is not None or value == reference or reference not in value):
            why = f"hides previous definition of {field.quote(name)}, which may be dropped when using apply"
            told.append(f"{path / index}: {why}")
        seen.add(name)
    return told


def _ports(containers: Sequence[tuple[Path, Object]]) -> list[str]:
    told: list[str] = []
    seen: dict[tuple[Any, Any], _Bindings] = {}
    for place, container in containers:
        for index, port in enumerate(container.get("ports") or ()):
            at, number, host = place / "ports" / index, port.get("hostPort") or 0, port.get("hostIP") or ""
            if host and not number:
                told.append(f"{at}: hostIP set without hostPort: {field.quote(dict(port))}")
            others = seen.setdefault((port.get("containerPort"), port.get("protocol")), _Bindings())
            if len(told) < TOLD:
                told += [f"{at}: {how} port definition with {other}" for how, other in others.like(number, host)]
            others.add(number, host, at)
    return told


class _Bindings:
    """Where one port of containers is bound on the host, by number and address: each is compared with those alone that it meets."""

    def __init__(self) -> None:
        self._at: dict[int, dict[str, list[tuple[int, Path]]]] = {}
        self._count = 0

    def add(self, number: int, host: str, at: Path) -> None:
        self._at.setdefault(number, {}).setdefault(host, []).append((self._count, at))
        self._count += 1

    def like(self, number: int, host: str) -> list[tuple[str, Path]]:
        """("duplicate" or "overlapping", the other's place), in the order of the others; those of which a header can tell."""
        met: list[tuple[int, str, Path]] = []
        for other_number in self._at if not number else {number, 0}:
            for other_host, places in self._hosts(number, host, other_number):
                same = (number, host) == (other_number, other_host)
                how = "duplicate" if same else "overlapping"
                met += [(order, how, at) for order, at in places[:TOLD]]
        return [(how, at) for _, how, at in sorted(met, key=lambda one: one[0])[:TOLD]]

    def _hosts(self, number: int, host: str, other: int) -> Iterable[tuple[str, list[tuple[int, Path]]]]:
        """Two addresses of the same number never meet; none meets all."""
        hosts = self._at.get(other, {})
        if not (number and other and host):
            return hosts.items()
        return [(one, hosts[one]) for one in (host, "") if one in hosts]
