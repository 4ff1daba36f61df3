"""kubeadm's files: both forms give the same, defaults are filled in, and what cannot be used is named."""

from __future__ import annotations

import msgspec
import pytest

from pybernetes.deploy import configuration as configurations
from pybernetes.deploy import endpoints, layout, objects, types, validation
from pybernetes.deploy.configuration import ConfigurationError, defaulted, kept, parse

from .configurations import RECORDED, configuration

V1BETA3 = """
apiVersion: kubeadm.k8s.io/v1beta3
kind: InitConfiguration
bootstrapTokens: [{token: abcdef.0123456789abcdef, ttl: 1h, expires: null}]
nodeRegistration: {name: m1, kubeletExtraArgs: {v: "4", a: b}, taints: []}
localAPIEndpoint: {advertiseAddress: 10.0.0.11, bindPort: 7443}
---
apiVersion: kubeadm.k8s.io/v1beta3
kind: ClusterConfiguration
controlPlaneEndpoint: api.example
apiServer: {certSANs: [api.example, 192.0.2.9], extraArgs: {audit-log-path: "-"}, timeoutForControlPlane: 5m0s}
scheduler: {extraArgs: {v: "2"}}
etcd: {local: {serverCertSANs: [e], extraArgs: {b: "1", a: "2"}}}
dns: {imageTag: "1.9"}
"""
V1BETA4 = """
apiVersion: kubeadm.k8s.io/v1beta4
kind: InitConfiguration
bootstrapTokens: [{token: abcdef.0123456789abcdef, ttl: 1h}]
nodeRegistration: {name: m1, kubeletExtraArgs: [{name: a, value: b}, {name: v, value: "4"}], taints: []}
localAPIEndpoint: {advertiseAddress: 10.0.0.11, bindPort: 7443}
timeouts: {controlPlaneComponentHealthCheck: 5m0s}
---
apiVersion: kubeadm.k8s.io/v1beta4
kind: ClusterConfiguration
controlPlaneEndpoint: api.example
apiServer: {certSANs: [api.example, 192.0.2.9], extraArgs: [{name: audit-log-path, value: "-"}]}
scheduler: {extraArgs: [{name: v, value: "2"}]}
etcd: {local: {serverCertSANs: [e], extraArgs: [{name: a, value: "2"}, {name: b, value: "1"}]}}
dns: {imageTag: "1.9"}
"""


def test_both_forms_mean_the_same() -> None:
    assert parse(V1BETA3) == parse(V1BETA4)


def test_forms_may_be_mixed() -> None:
    mixed = parse(V1BETA4.split("---")[0] + "---" + V1BETA3.split("---")[1]).configuration
    assert mixed == parse(V1BETA4).configuration


def test_defaults() -> None:
    found = defaulted(
        parse("apiVersion: kubeadm.k8s.io/v1beta4\nkind: ClusterConfiguration\n").configuration, " Host ", "192.0.2.1"
    )
    cluster, init = found.cluster, found.init
    assert msgspec.to_builtins(cluster.networking) == {"serviceSubnet": "10.96.0.0/12", "dnsDomain": "cluster.local"}
    assert (cluster.certificates_dir, cluster.cluster_name) == ("/etc/kubernetes/pki", "kubernetes")
    assert (cluster.encryption_algorithm, cluster.certificate_validity_period) == ("RSA-2048", "8760h0m0s")
    assert cluster.etcd == types.Etcd(local=types.LocalEtcd(data_dir="/var/lib/etcd"))
    assert (init.node_registration.name, init.local_api_endpoint) == (
        "host",
        types.APIEndpoint(advertise_address="192.0.2.1", bind_port=6443),
    )
    validation.check(found)


def test_an_algorithm_by_its_older_gate() -> None:
    text = "apiVersion: kubeadm.k8s.io/v1beta3\nkind: ClusterConfiguration\nfeatureGates: {PublicKeysECDSA: true}\n"
    assert configuration(text).cluster.encryption_algorithm == "ECDSA-P256"


def test_documents_for_others_are_left_to_them() -> None:
    kubelet = "---\napiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\nanything: 1\n"
    assert parse(RECORDED + kubelet).ignored == (("kubelet.config.k8s.io/v1beta1", "KubeletConfiguration"),)


HEAD = "apiVersion: kubeadm.k8s.io/v1beta4\nkind: ClusterConfiguration\n"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            HEAD + "networking: {podCIDR: x, dnsDomain: a}\nnew: 1\n",
            'strict decoding error: unknown field "networking.podCIDR", unknown field "new"',
        ),
        (HEAD + "apiServer: {extraArgs: [{name: a, vallue: b}]}\n", 'unknown field "apiServer.extraArgs[0].vallue"'),
        (HEAD + "apiServer: {extraArgs: {a: b}}\n", "Expected `array`, got `object` - at `$.apiServer.extraArgs`"),
        (HEAD.replace("4", "3") + "encryptionAlgorithm: RSA-4096\n", 'unknown field "encryptionAlgorithm"'),
        (HEAD + "controlPlaneEndpoint: 1\n", "Expected `str`, got `int` - at `$.controlPlaneEndpoint`"),
        (
            HEAD.replace("v1beta4", "v1beta2"),
            'uses an old API spec: "kubeadm.k8s.io/v1beta2" (kind: "ClusterConfiguration"). Please use kubeadm v1.22',
        ),
        (HEAD.replace("v1beta4", "v9"), "unknown configuration API: kubeadm.k8s.io/v9, Kind=ClusterConfiguration"),
        (
            HEAD.replace("Cluster", "Klister"),
            "unknown configuration API: kubeadm.k8s.io/v1beta4, Kind=KlisterConfiguration",
        ),
        ("kind: ClusterConfiguration\n", "kind and apiVersion is mandatory information"),
        (f"{HEAD}---\n{HEAD}", 'kind "ClusterConfiguration" is specified twice in YAML file'),
        (HEAD + "clusterName: a\nclusterName: b\n", 'line 4: key "clusterName" already set in map'),
        ("", "no InitConfiguration or ClusterConfiguration kind was found in the YAML file"),
        ("- 1\n", "want objects, not [1]"),
        ("a: [\n", "while parsing a flow node"),
        ("a: \x00\n", "special characters are not allowed"),
    ],
)
def test_files_that_are_refused(text: str, words: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        parse(text)
    assert words in str(raised.value) and "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (
            "networking: {dnsDomain: A_b}",
            'networking.dnsDomain: Invalid value: "A_b": a lowercase RFC 1123 subdomain must consist',
        ),
        (
            "networking: {serviceSubnet: 10.0.0.0/33}",
            'networking.serviceSubnet: Invalid value: "10.0.0.0/33": couldn\'t parse subnet',
        ),
        (
            "networking: {serviceSubnet: 10.0.0.0/8}",
            "specified service subnet is too large; for 32-bit addresses, the mask must be >= 12",
        ),
        ("networking: {serviceSubnet: 10.0.0.0/30}", "subnet with 4 address(es) is too small, the minimum is 10"),
        (
            "networking: {serviceSubnet: '10.0.0.0/16,10.1.0.0/16'}",
            "expected one (IPv4 or IPv6) CIDR or two CIDRs from each family",
        ),
        ("networking: {podSubnet: 10.0.0.0/28}", "subnet with 16 address(es) is too small, the minimum is 64"),
        (
            "apiServer: {certSANs: [ok.example, 'not ok']}",
            'apiServer.certSANs: Invalid value: "not ok": altname is not a valid IP address',
        ),
        ("certificatesDir: pki", 'certificatesDir: Invalid value: "pki": path is not absolute'),
        ("controlPlaneEndpoint: a:b:c", 'controlPlaneEndpoint: Invalid value: "a:b:c": endpoint is not valid'),
        ("controlPlaneEndpoint: a:70000", "endpoint is not valid"),
        (
            "encryptionAlgorithm: DSA",
            'Invalid encryption algorithm "DSA". Must be one of [ECDSA-P256 ECDSA-P384 RSA-2048 RSA-3072 RSA-4096]',
        ),
        (
            "certificateValidityPeriod: 1y",
            'certificateValidityPeriod: Invalid value: "1y": time: invalid duration "1y"',
        ),
        ("featureGates: {New: true}", 'featureGates: Invalid value: {"New":true}: New is not a valid feature name.'),
        (
            "etcd: {local: {}, external: {}}",
            'etcd: Invalid value: "": .Etcd.Local and .Etcd.External are mutually exclusive',
        ),
        (
            "etcd: {external: {endpoints: ['http://e'], caFile: /ca}}",
            'etcd.external.endpoints: Invalid value: "http://e": the URL must be using the HTTPS',
        ),
        (
            "etcd: {external: {endpoints: [e], certFile: /c}}",
            "either both or none of .Etcd.External.CertFile and .Etcd.External.KeyFile",
        ),
        (
            "controllerManager: {extraArgs: [{value: x}]}",
            'controllerManager.extraArgs: Invalid value: "index 0": argument has no name',
        ),
    ],
)
def test_values_that_are_refused(lines: str, words: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        validation.check(configuration(HEAD + lines))
    assert words in str(raised.value)


INIT = "apiVersion: kubeadm.k8s.io/v1beta4\nkind: InitConfiguration\n"


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ("nodeRegistration: {name: m_1}", 'nodeRegistration.name: Invalid value: "m_1": '),
        ("localAPIEndpoint: {advertiseAddress: m1}", 'localAPIEndpoint.advertiseAddress: Invalid value: "m1": ip address is not valid'),
        ("localAPIEndpoint: {bindPort: 65536}", "localAPIEndpoint.bindPort: Invalid value: 65536: port number is not valid"),
        ("certificateKey: zz", "certificateKey: Invalid value: certificate key decoding error: "),
        ("certificateKey: ab", "invalid certificate key size 1, the key must be an AES key of size 32"),
        ("timeouts: {discovery: soon}", 'timeouts.discovery: Invalid value: "soon": time: invalid duration "soon"'),
        ("bootstrapTokens: [{token: x}]", 'bootstrapTokens.0.token: Invalid value: "x": the bootstrap token is invalid'),
        (
            "bootstrapTokens: [{token: abcdef.0123456789abcdef, usages: [signing], groups: [system:bootstrappers:x]}]",
            'token groups cannot be specified unless --usages includes "authentication"',
        ),
        ("bootstrapTokens: [{token: abcdef.0123456789abcdef, ttl: 1h, expires: 2027-01-01T00:00:00Z}]", "are mutually exclusive"),
        ("bootstrapTokens: [{token: abcdef.0123456789abcdef, expires: 2027-01-01}]", 'bootstrapTokens.0.expires: Invalid value: "2027-01-01": '),
    ],
)  # fmt: skip
def test_values_of_the_host_that_are_refused(lines: str, words: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        validation.check(configuration(INIT + lines))
    assert words in str(raised.value)


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ("", "https://192.0.2.1:6443"),
        ("api.example", "https://api.example:6443"),
        ("10.0.0.10:8443", "https://10.0.0.10:8443"),
        ("fd00::10", "https://[fd00::10]:6443"),
        ("[fd00::10]:8443", "https://[fd00::10]:8443"),
    ],
)
def test_the_control_planes_address(given: str, url: str) -> None:
    assert endpoints.control_plane(configuration(f"{HEAD}controlPlaneEndpoint: '{given}'\n")) == url


@pytest.mark.parametrize("given", ["a:", "a:0", "a:x", "[::1", "[::1]x", "_", "a b", "[a]:1x", ":1", "a:\u0661"])
def test_addresses_that_are_none(given: str) -> None:
    with pytest.raises(endpoints.EndpointError):
        endpoints.split_host_port(given)


KUBEADM_1_20 = """
apiVersion: kubeadm.k8s.io/v1beta2
kind: ClusterConfiguration
apiServer: {extraArgs: {v: "2"}, timeoutForControlPlane: 4m0s}
certificatesDir: /etc/kubernetes/pki
clusterName: kubernetes
controlPlaneEndpoint: 10.0.0.10:6443
controllerManager: {}
dns: {type: CoreDNS}
etcd: {local: {dataDir: /var/lib/etcd}}
imageRepository: k8s.gcr.io
kubernetesVersion: v1.20.2
networking: {dnsDomain: cluster.local, podSubnet: 10.244.0.0/16, serviceSubnet: 10.96.0.0/12}
scheduler: {}
"""


def test_what_an_older_cluster_keeps_of_itself_is_read() -> None:
    """A file in that version is refused, as today's kubeadm does; a cluster cannot be asked to migrate its own before others join."""
    cluster = kept(KUBEADM_1_20)
    assert (cluster.kubernetes_version, cluster.networking.pod_subnet) == ("v1.20.2", "10.244.0.0/16")
    assert cluster.api_server.extra_args == [types.Arg(name="v", value="2")]
    with pytest.raises(ConfigurationError, match="old API spec"):
        parse(KUBEADM_1_20)
    with pytest.raises(ConfigurationError, match=r"dns\.type: 'kube-dns'"):
        kept(KUBEADM_1_20.replace("CoreDNS", "kube-dns"))
    with pytest.raises(ConfigurationError, match=r'unknown field "apiServer\.extraEnvs"'):
        kept(KUBEADM_1_20.replace("timeoutForControlPlane: 4m0s", "extraEnvs: []"))


@pytest.mark.parametrize("version", list(configurations.KEPT))
@pytest.mark.parametrize("algorithm", ["RSA-2048", "ECDSA-P256"])
def test_a_cluster_remembers_itself_in_each_version(version: str, algorithm: str) -> None:
    """And is the same when it is read."""
    cluster = configuration(V1BETA4, algorithm=algorithm).cluster
    text = configurations.text(cluster, version)
    assert f"apiVersion: kubeadm.k8s.io/{version}\n" in text
    again = defaulted(configurations.Configuration(types.InitConfiguration(), kept(text)), "m", "10.0.0.1").cluster
    again.feature_gates.pop(configurations.ECDSA_GATE, None)
    assert again == cluster


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ("proxy: {disabled: true}", "proxy"),
        ("dns: {disabled: true}", "dns.disabled"),
        ("encryptionAlgorithm: RSA-4096", "encryptionAlgorithm"),
        ("certificateValidityPeriod: 1h0m0s", "certificateValidityPeriod"),
        ("apiServer: {extraEnvs: [{name: a, value: b}]}", "apiServer.extraEnvs"),
        ("scheduler: {extraArgs: [{name: a, value: b}, {name: a, value: c}]}", "--a twice"),
    ],
)
def test_what_older_versions_have_no_words_for(settings: str, words: str) -> None:
    """It is refused before anything is done, rather than forgotten: hosts that join go by what the cluster remembers."""
    cluster = configuration(f"{RECORDED}{settings}\n").cluster
    described = layout.ClusterLayout(kubeadm_config="v1beta2")
    with pytest.raises(ConfigurationError, match=f"v1beta2 has no words for {words}$"):
        layout.check(described, cluster, 6443)
    layout.check(layout.ClusterLayout(), cluster, 6443)


def test_older_kubeadm_finds_the_kubelets_configuration_by_its_version() -> None:
    cluster, described = configuration().cluster, layout.ClusterLayout(kubeadm_config="v1beta2")
    names = [
        [one["metadata"]["name"] for one in objects.kubelet_config("x", cluster, each) if one["kind"] == "ConfigMap"]
        for each in (layout.ClusterLayout(), described)
    ]
    assert names == [["kubelet-config"], ["kubelet-config", "kubelet-config-1.37"]]
    with pytest.raises(ConfigurationError, match='kubeadmConfig: "v1": choose one of v1beta4, v1beta3, v1beta2'):
        layout.check(layout.ClusterLayout(kubeadm_config="v1"), cluster, 6443)


@pytest.mark.parametrize("version", list(configurations.KEPT))
def test_a_layout_remembers_the_version(version: str) -> None:
    described = layout.ClusterLayout(kubeadm_config=version)
    text = layout.text(described)
    assert layout.parse(text) == described and ("kubeadmConfig" in text) == (version != "v1beta4")
