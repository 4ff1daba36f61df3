"""What an upgrade is made of: the versions that run, the one they become, what speaks against it, which files change; pure
(upstream: cmd/kubeadm/app/phases/upgrade/{policy,compute,health}.go).

The version that a cluster becomes is always that of the program that asks: a pybernetes serves one Kubernetes.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from .lines import Line
from .tables import table

CONTROL_PLANE_SKEW = 1  # minor versions that a control plane goes up at a time, and that its API servers may be apart
KUBELET_SKEW = 3  # minor versions by which kubelets may be older than API servers
# Lines of `status` that say nothing about whether daemons may start anew.
NEVER_STOPS = frozenset({"certificate", "virtual address"})
_VERSION = re.compile(r"v?(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)(?:[-+].*)?")


class VersionError(ValueError):
    """A text that is no version; says which."""


@dataclass(frozen=True, slots=True, order=True)
class Version:
    """Without what follows a plus or a minus: builds of one version are alike."""

    major: int
    minor: int
    patch: int

    def __str__(self) -> str:
        return f"v{self.major}.{self.minor}.{self.patch}"

    @property
    def series(self) -> int:
        """Minor versions as a line of numbers."""
        return self.major * 1000 + self.minor


def parse(text: str) -> Version:
    """Of v1.2.3, 1.2.3, v1.2.3+build. VersionError."""
    match = _VERSION.fullmatch(text)
    if match is None:
        raise VersionError(f"{text!r} is no version: want one such as v1.37.0")
    return Version(int(match[1]), int(match[2]), int(match[3]))


@dataclass(frozen=True, slots=True)
class Running:
    """What a cluster says of itself, versions as they were told. `configured`: its ClusterConfiguration's; `servers`, `kubelets`: by node,
    "" of one that does not answer."""

    configured: str
    servers: Mapping[str, str] = field(default_factory=dict)
    kubelets: Mapping[str, str] = field(default_factory=dict)
    etcd: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Objections:
    """`mandatory` ones hold whatever is said, --force passes over the others."""

    mandatory: Sequence[str] = ()
    skippable: Sequence[str] = ()

    def left(self, force: bool) -> Sequence[str]:
        """Those that count."""
        return [*self.mandatory, *(() if force else self.skippable)]


def objections(running: Running, target: Version, program: Version) -> Objections:
    """What upstream's policy of versions says to it. VersionError for a cluster that tells none."""
    mandatory, skippable = [], []
    configured = parse(running.configured)
    if program != target:
        mandatory.append(
            f'Specified version to upgrade to "{target}" is not what this pybernetes serves, "{program}": '
            f"install the pybernetes that serves {target}, and run its `upgrade`"
        )
    if target < configured:
        skippable.append(
            f'Specified version to upgrade to "{target}" is lower than the cluster version "{configured}". '
            "Downgrades are not really supported!"
        )
    elif target.series > configured.series + CONTROL_PLANE_SKEW:
        mandatory.append(_too_high(target, f'the cluster version is "{configured}"'))
    for name, version in _parsed(running.servers).items():
        if target.series > version.series + CONTROL_PLANE_SKEW:
            mandatory.append(_too_high(target, f"kube-apiserver on {name} is {version}"))
        elif target < version:
            skippable.append(f"kube-apiserver on {name} is {version} already: {target} would be a downgrade")
    old = {
        name: version
        for name, version in _parsed(running.kubelets).items()
        if version.series < target.series - KUBELET_SKEW
    }
    if old:
        skippable.append(f"There are kubelets in this cluster that are too old: {_listed(old)}. Upgrade these first")
    new = {name: version for name, version in _parsed(running.kubelets).items() if version.series > target.series}
    if new:
        skippable.append(f"There are kubelets in this cluster that would be newer than its API servers: {_listed(new)}")
    return Objections(mandatory, skippable)


def node_objections(running: Running, target: Version) -> Sequence[str]:
    """To an upgrade of one more host, which follows the first: the cluster is to be of its version already."""
    configured = parse(running.configured)
    if configured == target:
        return []
    text = f"the cluster is {configured} yet, this pybernetes serves {target}"
    return [f"{text}: run `pybernetes upgrade apply {target}` on the first control-plane host before"]


def joining_objection(configured: str, program: Version) -> str:
    """Why an API server of this program may not stand beside those of a cluster, "" where it may. VersionError
    (upstream: cmd/kubeadm/app/util/config/common.go, NormalizeKubernetesVersion)."""
    version = parse(configured)
    if version.series >= program.series - CONTROL_PLANE_SKEW:
        return ""
    oldest = Version(program.major, program.minor - CONTROL_PLANE_SKEW, 0)
    return (
        f"this version of pybernetes only supports deploying clusters with the control plane version >= {oldest}. "
        f"Current version: {version}"
    )


def health(lines: Sequence[Line], masters: Collection[str]) -> tuple[list[str], list[str]]:
    """(errors, warnings) of what `status` has found: workers that are away do not keep a control plane from its upgrade."""
    errors, warnings = list[str](), list[str]()
    for line in lines:
        if line.ok or line.kind in NEVER_STOPS:
            continue
        text = f"{line.kind} {line.name}: {line.text}"
        (warnings if line.kind in ("node", "kubelet") and line.name not in masters else errors).append(text)
    return errors, warnings


def servers_apart(running: Running, target: Version) -> list[str]:
    """The hosts whose API server is not of the version yet: add-ons wait for them."""
    return [name for name, version in running.servers.items() if not version or parse(version) != target]


@dataclass(frozen=True, slots=True)
class Difference:
    """A file, or the part of one that is a daemon's, as it is and as it would be written; `before` "": there is none."""

    daemon: str
    path: str
    before: str
    after: str

    def text(self) -> str:
        """As a unified diff."""
        lines = difflib.unified_diff(
            self.before.splitlines(),
            self.after.splitlines(),
            self.path,
            f"{self.path} ({self.daemon})",
            lineterm="",
            n=1,
        )
        return "\n".join(lines)


def report(
    running: Running, target: Version, changed: Sequence[Difference], this: str, *, possible: bool = True
) -> str:
    """What `upgrade plan` shows: what runs where and what it becomes, and what is to be typed then, if it is `possible`."""
    of_control_plane = [
        *(("kube-apiserver", name, version) for name, version in running.servers.items()),
        *(("etcd", name, version) for name, version in running.etcd.items()),
    ]
    by_hand = [("kubelet", name, version) for name, version in running.kubelets.items()]
    paths = [f"  {one.path} ({one.daemon})" for one in changed]
    parts = [
        "Hosts that are upgraded after the first one, each by 'pybernetes upgrade node' on it (before: 'pybernetes node drain NAME', "
        "after: 'pybernetes node uncordon NAME' on a control-plane host):",
        _versions(by_hand, target),
        "Upgrade to the version of this pybernetes:",
        _versions(of_control_plane, target),
        f"Files of {this} that are written anew:\n" + "\n".join(paths)
        if paths
        else f"Every file of {this} is as this pybernetes would write it.",
    ]
    if possible:
        parts.append(
            f"You can now apply the upgrade by executing the following command:\n\n\tpybernetes upgrade apply {target}"
        )
    return "\n\n".join(part.rstrip("\n") for part in parts) + "\n"


def _versions(rows: Sequence[tuple[str, str, str]], target: Version) -> str:
    shown = [
        (component, name, version or "does not answer", str(target) if component != "etcd" else "as installed")
        for component, name, version in rows
    ]
    return table([("COMPONENT", "NODE", "CURRENT", "TARGET"), *shown])


def _too_high(target: Version, than: str) -> str:
    return (
        f'Specified version to upgrade to "{target}" is too high; {than}, and an upgrade goes only {CONTROL_PLANE_SKEW} minor version '
        "at a time: upgrade to the versions between first"
    )


def _parsed(versions: Mapping[str, str]) -> Mapping[str, Version]:
    """Of those that answered. VersionError."""
    return {name: parse(version) for name, version in versions.items() if version}


def _listed(versions: Mapping[str, Version]) -> str:
    return ", ".join(f"{name} ({version})" for name, version in sorted(versions.items()))
