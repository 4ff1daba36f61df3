"""The ports that a cluster's parts listen on, and what is done where another program has one."""

from __future__ import annotations

from collections.abc import Callable, Container
from dataclasses import dataclass

import msgspec

from .settings import ClusterConfig

KUBELET, PROXY_HEALTH, PROXY_METRICS = 10250, 10256, 10249  # others look for them there: these stay
HTTP, HTTPS = 80, 443
UNPRIVILEGED = 1023  # all beyond are open to ordinary users
TRIES = 1000


@dataclass(frozen=True, slots=True)
class Port:
    """`setting` is the field of ClusterConfig that moves it, "" where it stays; `anywhere`: nobody looks for it where it usually is."""

    number: int
    part: str
    setting: str = ""
    anywhere: bool = False


class PortTaken(Exception):
    """Which one, and what to do; one line."""


def used(settings: ClusterConfig) -> list[Port]:
    """Every port that a part listens on with these settings, on the host's addresses; in the order of the parts."""
    busy = [
        Port(settings.port, "kube-apiserver"),
        Port(settings.controller_manager_port, "kube-controller-manager", "controller_manager_port"),
        Port(settings.scheduler_port, "kube-scheduler", "scheduler_port"),
        Port(settings.kubelet_health_port, "kubelet", "kubelet_health_port"),
    ]
    if settings.hollow:
        return busy
    busy += [Port(KUBELET, "kubelet"), Port(PROXY_HEALTH, "kube-proxy"), Port(PROXY_METRICS, "kube-proxy")]
    if settings.runs_network_policies:
        busy.append(Port(settings.network_policies_port, "kube-network-policies", "network_policies_port", True))
    if settings.runs_load_balancer:
        busy.append(Port(settings.load_balancer_port, "service-load-balancer", "load_balancer_port", True))
    if settings.runs_ingress:
        busy += [Port(port, "nginx-ingress-controller") for port in (HTTP, HTTPS)]
        busy.append(Port(settings.ingress_port, "nginx-ingress-controller", "ingress_port", True))
    return busy


def settle(settings: ClusterConfig, problem: Callable[[int], str]) -> ClusterConfig:
    """With ports that can be had; `problem` is "" for one that can. Several hollow clusters live side by side: theirs move. PortTaken."""
    moved: dict[str, int] = {}
    taken = {port.number for port in used(settings)}
    for port in used(settings):
        reason = problem(port.number)
        if not reason:
            continue
        text = f"port {port.number} of {port.part} cannot be had: {reason}; "
        if port.setting and (settings.hollow or port.anywhere):
            moved[port.setting] = _free(port.number, taken, problem)
            taken.add(moved[port.setting])
        elif port.part == "kube-apiserver":
            other = _free(max(port.number, UNPRIVILEGED), taken, problem)
            raise PortTaken(f"{text}choose another, as --port={other}, or end what has it (a cluster: pybernetes down)")
        else:
            raise PortTaken(f"{text}end what has it, such as another cluster on this machine")
    return msgspec.structs.replace(settings, **moved)


def _free(start: int, taken: Container[int], problem: Callable[[int], str]) -> int:
    """The next one. PortTaken where there is none near."""
    for number in range(start + 1, min(start + TRIES, 65536)):
        if number not in taken and not problem(number):
            return number
    raise PortTaken(f"no port near {start} is free")
