from collections.abc import Callable

import msgspec
import pytest

from pybernetes.cluster.ports import PortTaken, settle
from pybernetes.cluster.settings import ClusterConfig

ON_DOCKER = ClusterConfig(node_name="a", addresses=["192.0.2.2"])
HOLLOW = msgspec.structs.replace(ON_DOCKER, hollow_nodes=1)


def taken(*numbers: int) -> Callable[[int], str]:
    return lambda port: "address already in use" if port in numbers else ""


def test_free_ports_stay() -> None:
    assert settle(ON_DOCKER, taken()) == ON_DOCKER


def test_a_second_hollow_cluster_moves_aside() -> None:
    moved = settle(HOLLOW, taken(10257, 10258, 10248))
    assert (moved.controller_manager_port, moved.scheduler_port, moved.kubelet_health_port) == (10260, 10259, 10249)


def test_add_ons_listen_elsewhere_where_their_ports_are_taken() -> None:
    moved = settle(ON_DOCKER, taken(9080, 9082))
    assert (moved.network_policies_port, moved.load_balancer_port) == (9083, 9081)


def test_what_serves_ingresses_has_its_ports() -> None:
    ingress = msgspec.structs.replace(ON_DOCKER, ingress=True)
    assert settle(ingress, taken(10254)).ingress_port == 10255
    with pytest.raises(PortTaken, match="port 80 of nginx-ingress-controller cannot be had"):
        settle(ingress, taken(80))


@pytest.mark.parametrize(
    ("settings", "port", "words"),
    [
        (
            HOLLOW,
            6443,
            "port 6443 of kube-apiserver cannot be had: address already in use; choose another, as --port=6444",
        ),
        (
            ON_DOCKER,
            10257,
            "port 10257 of kube-controller-manager cannot be had: address already in use; end what has it",
        ),
        (ON_DOCKER, 10250, "port 10250 of kubelet"),
    ],
)
def test_what_cannot_move_says_what_to_do(settings: ClusterConfig, port: int, words: str) -> None:
    with pytest.raises(PortTaken) as error:
        settle(settings, taken(port))
    assert str(error.value).startswith(words)
