"""Joining as data: configuration, the layout, cluster-info, sealed certificates, and the objects that kubeadm makes."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from pybernetes.controllers.bootstrap.tokens import detached_signature
from pybernetes.deploy import clusterinfo, componentconfigs, joinconfiguration, layout, objects, sealed, types
from pybernetes.deploy.configuration import Configuration, ConfigurationError, defaulted, parse, text
from pybernetes.pki.certificates import Authority, public_key_pin

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
GOLDEN = Path(__file__).parents[2] / "golden" / "kubeadm"
TOKEN = "abcdef.0123456789abcdef"
PIN = "sha256:" + "0" * 64
JOIN = f"""
apiVersion: kubeadm.k8s.io/v1beta4
kind: JoinConfiguration
discovery:
  bootstrapToken: {{token: {TOKEN}, apiServerEndpoint: "10.0.0.10:8443", caCertHashes: ["{PIN}"]}}
controlPlane: {{localAPIEndpoint: {{advertiseAddress: 10.0.0.12}}}}
nodeRegistration: {{name: M2, kubeletExtraArgs: [{{name: v, value: "2"}}]}}
"""


def configuration(**cluster: Any) -> Configuration:
    networking = types.Networking(pod_subnet="10.244.0.0/16")
    given = types.ClusterConfiguration(networking=networking, control_plane_endpoint="10.0.0.10:6443", **cluster)
    return defaulted(Configuration(types.InitConfiguration(), given), "m1", "10.0.0.11")


def test_both_forms_of_a_join_configuration_mean_the_same() -> None:
    old = JOIN.replace("v1beta4", "v1beta3").replace('[{name: v, value: "2"}]', '{v: "2"}')
    found = [joinconfiguration.defaulted(joinconfiguration.parse(one), "host", "10.0.0.9") for one in (JOIN, old)]
    assert found[0] == found[1]
    join = found[0]
    joinconfiguration.check(join)
    assert (join.node_registration.name, join.discovery.tls_bootstrap_token) == ("m2", TOKEN)
    assert join.control_plane is not None
    assert (
        join.control_plane.local_api_endpoint.advertise_address,
        join.control_plane.local_api_endpoint.bind_port,
    ) == ("10.0.0.12", 6443)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ((TOKEN, "abcdef"), 'token: "abcdef": want abcdef.0123456789abcdef'),
        (("10.0.0.10:8443", "10.0.0.10"), "want ADDRESS:PORT of the API server"),
        ((f'"{PIN}"', ""), "give --discovery-token-ca-cert-hash sha256:HASH"),
        ((PIN, "sha256:12"), "want sha256: and 64 hexadecimal digits"),
        (("10.0.0.12", "host"), "advertiseAddress: .*ip address is not valid"),
        (("bootstrapToken:", "file: {kubeConfigPath: /x}\n  bootstrapToken:"), "cannot be used together"),
        (("controlPlane:", "patches: {directory: /x}\ncontrolPlane:"), 'unknown field "patches"'),
    ],
)
def test_what_cannot_be_joined_by_is_told(change: tuple[str, str], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        joinconfiguration.check(
            joinconfiguration.defaulted(joinconfiguration.parse(JOIN.replace(*change)), "host", "10.0.0.9")
        )


@pytest.mark.parametrize(
    ("document", "endpoint", "words"),
    [
        ("balancer: {kind: nginx}", "10.0.0.10:8443", ""),
        ("balancer: {kind: apache}", "10.0.0.10:8443", "choose one of nginx, haproxy, none"),
        ("balancer: {kind: nginx}", "10.0.0.10:6443", "needs another one: 10.0.0.10:8443, say"),
        ("balancer: {kind: nginx}", "", "give --control-plane-endpoint=ADDRESS:PORT"),
        ("balancer: {kind: haproxy, onNodes: true}", "127.0.0.1:8443", ""),
        ("balancer: {kind: nginx, onNodes: true}", "10.0.0.10:8443", "listens for this one alone: want 127.0.0.1:8443"),
        ("balancer: {kind: nginx}", "127.0.0.1:8443", "others do not reach it"),
        ("balancer: {onNodes: true}", "127.0.0.1:8443", "which one? Give --balancer=nginx or haproxy"),
        ("balancer: {kind: nginx, routerID: 300}", "10.0.0.10:8443", "want 1 to 255"),
        ("network: {backend: ipip}", "", "choose one of vxlan, host-gw, udp, none"),
        ("network: {back: vxlan}", "", 'unknown field "network.back"'),
    ],
)
def test_layouts(document: str, endpoint: str, words: str) -> None:
    cluster = types.ClusterConfiguration(control_plane_endpoint=endpoint)
    problem = ""
    try:
        found = layout.parse(f"apiVersion: pybernetes.io/v1alpha1\nkind: ClusterLayout\n{document}\n")
        assert found is not None
        layout.check(found, cluster, 6443)
        assert layout.parse(layout.text(found)) == found
    except ConfigurationError as error:
        problem = str(error)
    assert words in problem and bool(words) == bool(problem)


def test_a_cluster_without_a_layout_has_its_network_in_pods() -> None:
    assert layout.parse("apiVersion: kubeadm.k8s.io/v1beta4\nkind: ClusterConfiguration\n") is None
    assert layout.balancer_of(layout.FOREIGN, types.ClusterConfiguration()) is None
    assert layout.network_of(layout.FOREIGN).backend == ""


def test_the_configuration_that_the_cluster_keeps_is_read_as_it_was() -> None:
    cluster = configuration().cluster
    assert parse(text(cluster)).configuration.cluster == cluster


AUTHORITY = Authority.create("kubernetes", NOW)


def info(token: str = TOKEN) -> dict[str, str]:
    content = clusterinfo.content("https://10.0.0.10:6443", AUTHORITY.pem)
    token_id, _, secret = token.partition(".")
    return {"kubeconfig": content, f"jws-kubeconfig-{token_id}": detached_signature(content, token_id, secret)}


def test_cluster_info_is_known_by_token_and_pin() -> None:
    server, authorities = clusterinfo.place(clusterinfo.verified(info(), "abcdef", "0123456789abcdef"))
    assert server == "https://10.0.0.10:6443"
    clusterinfo.check_pins(authorities, [PIN, public_key_pin(AUTHORITY.pem).upper().replace("SHA256", "sha256")])
    with pytest.raises(clusterinfo.DiscoveryError, match="another cluster than the one"):
        clusterinfo.check_pins(authorities, [PIN])
    with pytest.raises(clusterinfo.DiscoveryError, match="another cluster than the one"):
        clusterinfo.check_pins(authorities + Authority.create("other", NOW).pem, [public_key_pin(AUTHORITY.pem)])


@pytest.mark.parametrize(
    ("data", "error", "words"),
    [
        ({}, clusterinfo.DiscoveryError, "has no kubeconfig"),
        (info("zzzzzz.0123456789abcdef"), clusterinfo.NotSigned, "the cluster knows no token abcdef"),
        (info("abcdef.zzzzzzzzzzzzzzzz"), clusterinfo.DiscoveryError, "is not the one that the cluster has"),
    ],
)
def test_cluster_info_that_cannot_be_trusted(data: dict[str, str], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        clusterinfo.verified(data, "abcdef", "0123456789abcdef")


def test_certificates_are_opened_with_their_key_alone() -> None:
    key, names = sealed.key_of("01" * 32), sealed.files(configuration())
    data = {name: sealed.seal(file.encode(), key, bytes(12)) for name, file in names.items()}
    assert sealed.opened(data, key, names) == {file: file.encode() for file in names.values()}
    with pytest.raises(sealed.SealError, match="the certificate key is not the one"):
        sealed.opened(data, sealed.key_of("02" * 32), names)
    with pytest.raises(sealed.SealError, match="the certificate key is not the one"):
        sealed.opened({**data, "ca.key": b"short"}, key, names)
    with pytest.raises(sealed.SealError, match=r"does not have etcd-ca\.key"):
        sealed.opened({name: one for name, one in data.items() if name != "etcd-ca.key"}, key, names)
    for text_ in ("zz", "0101"):
        with pytest.raises(sealed.SealError, match="certificate key"):
            sealed.key_of(text_)


def recorded() -> dict[tuple[str, str], dict[str, Any]]:
    text = (GOLDEN / "objects.yaml").read_text().replace("kubelet-config-1.20", "kubelet-config")  # as from 1.24 on
    documents = [one for one in yaml.safe_load_all(text) if one and "kind" in one]
    return {(one["kind"], one["metadata"]["name"]): one for one in documents}


def test_objects_are_kubeadms() -> None:
    """Names, rules, subjects; one role was bound to the group of all who join alone, before nodes read it, too."""
    golden = recorded()
    made = [
        *objects.kubeadm_config(configuration().cluster, layout.ClusterLayout()),
        *objects.kubelet_config(
            componentconfigs.kubelet(configuration(), {}), configuration().cluster, layout.ClusterLayout()
        ),
        *objects.certificates_access(),
        *objects.bootstrap_rights(),
        *objects.cluster_info(clusterinfo.content("https://10.0.0.10:6443", b"CA")),
        *objects.kube_proxy(componentconfigs.proxy(configuration(), {}), "https://10.0.0.10:6443"),
    ]
    ours = {"pybernetes-config", "pybernetes:nodes-pybernetes-config"}
    compared = 0
    for one in made:
        if one["metadata"]["name"] in ours:
            continue
        wanted = golden[one["kind"], one["metadata"]["name"]]
        for name in ("rules", "roleRef"):
            assert one.get(name) == wanted.get(name), one["metadata"]["name"]
        subjects = [sorted(found.get("subjects", ()), key=str) for found in (one, wanted)]
        assert subjects[0] == subjects[1], one["metadata"]["name"]
        assert one["metadata"].get("namespace") == wanted["metadata"].get("namespace")
        compared += 1
    assert compared == 21
    info_ = yaml.safe_load(next(one for one in made if one["metadata"]["name"] == "cluster-info")["data"]["kubeconfig"])
    old = yaml.safe_load(golden["ConfigMap", "cluster-info"]["data"]["kubeconfig"].replace("<CA>", "Q0E="))
    assert info_ == old


def test_the_hash_is_kubeadms() -> None:
    proxy = recorded()["ConfigMap", "kube-proxy"]
    assert (
        componentconfigs.checksum(proxy["data"]) == proxy["metadata"]["annotations"][componentconfigs.HASH_ANNOTATION]
    )


def test_the_certificates_secret_is_kubeadms() -> None:
    golden = recorded()["Secret", "kubeadm-certs"]
    owner = sealed.owner("abcdef.0123456789abcdef", NOW)
    owner.metadata.uid = "<uid>"
    made = sealed.secret(dict.fromkeys(sealed.files(configuration()), b""), owner)
    assert sorted(made.data) == sorted(golden["data"])
    reference, wanted = made.metadata.owner_references[0], golden["metadata"]["ownerReferences"][0]
    assert (reference.api_version, reference.kind, reference.controller) == (
        wanted["apiVersion"],
        wanted["kind"],
        wanted["controller"],
    )
    assert owner.data["expiration"] == b"2026-11-30T14:00:00Z" and "usage-bootstrap-authentication" not in owner.data


def test_control_plane_nodes_keep_what_taints_they_have() -> None:
    present = [{"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}, dict(objects.CONTROL_PLANE_TAINT)]
    patch = objects.control_plane_patch(None, present)
    assert patch["spec"]["taints"] == [present[0], present[1]]
    assert set(patch["metadata"]["labels"]) == {objects.LABEL_CONTROL_PLANE, objects.LABEL_EXCLUDE}
    assert objects.control_plane_patch([], present[:1])["spec"]["taints"] == present[:1]


def test_users_documents_win() -> None:
    kubelet = yaml.safe_load(
        componentconfigs.kubelet(configuration(), {"authentication": {"anonymous": {"enabled": True}}, "maxPods": 50})
    )
    assert (
        kubelet["authentication"]["anonymous"]["enabled"] is True
        and kubelet["authentication"]["webhook"]["enabled"] is True
    )
    assert (kubelet["maxPods"], kubelet["clusterDNS"]) == (50, ["10.96.0.10"])
    host = yaml.safe_load(componentconfigs.of_host_proxy(componentconfigs.proxy(configuration(), {}), "/x.conf"))
    assert host["clientConnection"]["kubeconfig"] == "/x.conf" and host["clusterCIDR"] == "10.244.0.0/16"
