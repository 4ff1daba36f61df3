"""The file that describes a cluster: what it means, and what is wrong with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from pybernetes.deploy.configuration import ConfigurationError
from pybernetes.deploy.rollout import clusterfile, judge

HEAD = "apiVersion: pybernetes.io/v1alpha1\nkind: Cluster\n"
EXAMPLE = Path(__file__).parents[4] / "examples" / "ha" / "cluster.yaml"
ONE = f"{HEAD}hosts: [{{name: a, address: 10.0.0.1, roles: [master]}}]\n"
TWO = (
    f"{HEAD}hosts: [{{name: a, address: 10.0.0.1, roles: [master]}}, {{name: b, address: 10.0.0.2, roles: [worker]}}]\n"
)
KUBEADM = "---\napiVersion: kubeadm.k8s.io/v1beta4\nkind: ClusterConfiguration\n"


def host(name: str, address: str, *roles: str, more: str = "") -> str:
    return f"- {{name: {name}, address: {address}, roles: [{', '.join(roles)}]{more}}}\n"


def file(*hosts: str, more: str = "") -> str:
    return f"{HEAD}hosts:\n{''.join(hosts)}{more}"


def problem(text: str) -> str:
    with pytest.raises(ConfigurationError) as raised:
        judge.check(clusterfile.read(text))
    return str(raised.value)


def test_the_example() -> None:
    description = clusterfile.read(EXAMPLE.read_text())
    judge.check(description)
    assert list(judge.warnings(description)) == []
    cluster = clusterfile.cluster(description)
    assert [(host.name, host.roles) for host in cluster.hosts][2:4] == [
        ("master3", ("etcd", "master", "balancer")),
        ("worker1", ("worker",)),
    ]
    assert cluster.configuration.cluster.control_plane_endpoint == "10.20.0.10:8443"
    assert cluster.configuration.cluster.networking.pod_subnet == "10.244.0.0/16"
    assert cluster.configuration.cluster.cluster_name == "ha"


def test_what_is_implied() -> None:
    cluster = clusterfile.cluster(clusterfile.read(ONE))
    assert cluster.configuration.cluster.control_plane_endpoint == "10.0.0.1:6443"
    assert cluster.configuration.cluster.networking.pod_subnet == clusterfile.POD_SUBNET
    apart = file(
        host("m", "10.0.0.1", "master"),
        host("l", "10.0.0.9", "balancer"),
        more="balancer: {port: 6443}\n",
    )
    judge.check(clusterfile.read(apart))
    cluster = clusterfile.cluster(clusterfile.read(apart))
    assert [host.roles for host in cluster.hosts] == [("etcd", "master"), ("balancer",)]
    assert cluster.configuration.cluster.control_plane_endpoint == "10.0.0.9:6443"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no document of apiVersion pybernetes.io/v1alpha1, kind Cluster: want one"),
        (f"{ONE}---\n{ONE}", "2 documents of apiVersion"),
        (HEAD, "hosts: want at least one"),
        (f"{ONE}hosst: []\n", 'unknown field "hosst"'),
        (ONE.replace("name: a", "name: a, ssh: {prot: 1}"), 'unknown field "hosts[0].ssh.prot"'),
        (ONE.replace("[master]", "master"), "Expected `array`"),
        (ONE.replace("[master]", "[chef]"), 'hosts[0].roles: "chef": choose of master, worker, balancer, etcd'),
        (ONE.replace("10.0.0.1", "a.example"), 'hosts[0].address: "a.example": want an IP address'),
        (ONE.replace("name: a", "name: A_b"), 'hosts[0].name: "A_b": a lowercase RFC 1123 subdomain'),
        (ONE.replace("master", "worker"), "hosts: none has the role master"),
        (ONE.replace("[master]", "[worker, etcd]"), "members of etcd are on masters here"),
        (TWO.replace("name: b", "name: a"), 'hosts: 2 hosts have the name "a"'),
        (TWO.replace("10.0.0.2", "10.0.0.1"), 'hosts: 2 hosts have the address "10.0.0.1"'),
        (TWO.replace("worker", "master"), "2 masters need one address"),
        (f"{TWO}addons: {{loadBalancer: true, addressPool: [10.0.0.0/8x]}}\n", "addons.addressPool: '10.0.0.0/8x'"),
        (f"{TWO}addons: {{addressPool: [10.0.9.0/24]}}\n", "addons.addressPool: for whom?"),
        (
            f"{TWO}addons: {{loadBalancer: true, addressPool: [10.0.0.2-10.0.0.9]}}\n",
            "addons.addressPool has the address of b, 10.0.0.2: want addresses that nobody has",
        ),
        (f"{ONE}program: pybernetes\n", 'program: "pybernetes": want the whole path'),
        (f"{ONE}network: {{backend: vxlam}}\n", 'network.backend: "vxlam": choose one of vxlan, host-gw, udp, none'),
        (
            f"{ONE}network: {{podSubnet: 10.96.0.0/24}}\n",
            "podSubnet 10.96.0.0/24 and serviceSubnet 10.96.0.0/12 overlap",
        ),
        (f"{ONE}network: {{podSubnet: 10.0.0.0/16}}\n", "podSubnet 10.0.0.0/16 has the address of a, 10.0.0.1"),
        (f"{ONE}network: {{podSubnet: nonsense}}\n", "couldn't parse subnet"),
        (f"{ONE}balancer: {{port: 6443, virtualAddress: 10.0.0.9}}\n", "balancer.port: 6443 is the API server's"),
        (f"{ONE}balancer: {{virtualAddress: 10.0.0.1}}\n", '"10.0.0.1" is a\'s own address'),
        (f"{ONE}balancer: {{virtualAddress: 10.1.0.9/24}}\n", '"10.1.0.9/24" is not in the network of a (10.0.0.1)'),
        (f"{ONE}balancer: {{virtualAddress: 'fd00::1'}}\n", '"fd00::1" is not in the network of a'),
        (f"{ONE}balancer: {{virtualAddress: x}}\n", 'balancer.virtualAddress: "x": want an IP address'),
        (f"{ONE}balancer: {{virtualAddress: 10.0.0.9, routerID: 256}}\n", "balancer.routerID: 256: want 1 to 255"),
        (f"{ONE}balancer: {{virtualAddress: 10.0.0.9, kind: traefik}}\n", "choose one of nginx, haproxy"),
        (f"{ONE}balancer: {{virtualAddress: 10.0.0.9, onNodes: true}}\n", "none is needed with onNodes"),
        (ONE.replace("[master]", "[master, balancer]"), "a balancer, of which `balancer` says nothing"),
        (ONE.replace("[master]", "[master], labels: {'a b': c}"), 'hosts[0].labels: "a b"'),
        (ONE.replace("[master]", "[master], taints: [{key: a, effect: Never}]"), "hosts[0].taints[0]: want key, value"),
        (f"{ONE}---\napiVersion: v1\nkind: Pod\n", "v1, Kind=Pod: not known here"),
        (f"{ONE}---\nhosts: []\n", "None, Kind=None: not known here"),
        (f"{ONE}{KUBEADM}podSubnet: x\n", 'unknown field "podSubnet"'),
        (f"{ONE}{KUBEADM.replace('ClusterC', 'InitC')}", "InitConfiguration: each host's own facts stand in `hosts`"),
        (
            f"{ONE}network: {{podSubnet: 10.1.0.0/16}}\n{KUBEADM}networking: {{podSubnet: 10.2.0.0/16}}\n",
            'network.podSubnet: "10.1.0.0/16", but the ClusterConfiguration says "10.2.0.0/16"',
        ),
        (f"{ONE}{KUBEADM}encryptionAlgorithm: DSA\n", 'Invalid encryption algorithm "DSA"'),
    ],
)
def test_what_is_wrong_is_named(text: str, words: str) -> None:
    assert words in problem(text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            file(
                *(host(f"m{n}", f"10.0.0.{n}", "master") for n in (1, 2)),
                host("w", "10.0.0.9", "worker"),
                more="balancer: {virtualAddress: 10.0.0.5}\n",
            ),
            "2 members of etcd are no better than 1: a majority is 2, so 0 may be lost",
        ),
        (ONE, "no host is a worker"),
        (f"{TWO}balancer: {{virtualAddress: 10.0.0.5}}\n", "one host alone holds it"),
    ],
)
def test_what_is_not_wise_is_a_warning(text: str, words: str) -> None:
    description = clusterfile.read(text)
    judge.check(description)
    assert words in "\n".join(judge.warnings(description))
