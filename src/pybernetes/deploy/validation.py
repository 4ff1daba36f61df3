"""What a configuration with its defaults may hold; pure, in upstream's words (upstream: .../apis/kubeadm/validation/validation.go).

Of what no phase here reads yet the form alone is looked at.
"""

from __future__ import annotations

import binascii
import ipaddress
from collections.abc import Iterable, Sequence
from typing import Any
from urllib.parse import urlsplit

from pybernetes.api import bootstraptokens, durations, field
from pybernetes.api.field import FieldError, Path
from pybernetes.api.names import dns1123_subdomain_errors
from pybernetes.pki.keys import ALGORITHMS

from . import endpoints, types
from .configuration import ECDSA_GATE, Configuration, ConfigurationError

SMALLEST_SERVICE_SUBNET, SMALLEST_POD_SUBNET = 10, 64  # addresses
LARGEST_SERVICE_BITS = 20  # of the host part
KEY_BYTES = 32  # of a certificate key: AES-256
# kubelet.conf of a control-plane host names the host's own API server, so that an upgrade never has an older server than kubelets.
LOCAL_KUBELET_GATE = "ControlPlaneKubeletLocalMode"
FEATURES = (LOCAL_KUBELET_GATE, ECDSA_GATE)
DOCKER_SOCKETS = ("/run/docker.sock", "/run/dockershim.sock", "/run/cri-dockerd.sock")
TWO_RANGES = "expected one (IPv4 or IPv6) CIDR or two CIDRs from each family for dual-stack networking"


def check(configuration: Configuration) -> None:
    """ConfigurationError with all that is wrong."""
    errors = [*_init(configuration.init), *_cluster(configuration.cluster)]
    if errors:
        raise ConfigurationError(field.aggregate(errors))


def tokens(given: Sequence[types.BootstrapToken]) -> list[FieldError]:
    """What is wrong with bootstrap tokens."""
    errors = []
    for index, token in enumerate(given):
        path = Path("bootstrapTokens") / str(index)
        usages, groups = token.usages or [], token.groups or []
        if bootstraptokens.split(token.token) is None:
            errors.append(field.invalid(path / "token", token.token, "the bootstrap token is invalid"))
        if problem := bootstraptokens.usages_problem(usages):
            errors.append(field.invalid(path / "usages", usages, problem))
        if groups and "authentication" not in usages:
            text = 'token groups cannot be specified unless --usages includes "authentication"'
            errors.append(field.invalid(path / "groups", groups, text))
        for group in groups:
            if problem := bootstraptokens.group_problem(group):
                errors.append(field.invalid(path / "groups", groups, problem))
        if token.expires and token.ttl:
            text = "the BootstrapToken .TTL and .Expires fields are mutually exclusive"
            errors.append(field.invalid(path, "", text))
        errors += _duration(token.ttl, path / "ttl") or _ahead(token.ttl, path / "ttl")
        try:
            bootstraptokens.expiration(token.expires)
        except ValueError as error:
            errors.append(field.invalid(path / "expires", token.expires, str(error)))
    return errors


def cri_socket(text: str, path: Path) -> list[FieldError]:
    """Docker's, by any of the names that it has had in kubeadm's files."""
    if not text or text.removeprefix("unix://").removeprefix("/var") in DOCKER_SOCKETS:
        return []
    return [field.invalid(path, text, "pods run on Docker here: leave it out, or name unix:///var/run/docker.sock")]


def _init(init: types.InitConfiguration) -> list[FieldError]:
    endpoint, node = init.local_api_endpoint, init.node_registration
    path = Path("localAPIEndpoint")
    errors = [
        *(field.invalid(Path("nodeRegistration") / "name", node.name, e) for e in dns1123_subdomain_errors(node.name)),
        *_arguments(node.kubelet_extra_args, Path("nodeRegistration") / "kubeletExtraArgs"),
        *cri_socket(node.cri_socket, Path("nodeRegistration") / "criSocket"),
        *tokens(init.bootstrap_tokens),
    ]
    if not endpoints.is_address(endpoint.advertise_address):
        text = "ip address is not valid"
        errors.append(field.invalid(path / "advertiseAddress", endpoint.advertise_address, text))
    if not 0 < endpoint.bind_port < 65536:
        errors.append(field.invalid(path / "bindPort", endpoint.bind_port, "port number is not valid"))
    if init.certificate_key:
        errors += certificate_key(init.certificate_key, Path("certificateKey"))
    if init.timeouts is not None:
        errors += _durations(init.timeouts, Path("timeouts"))
    return errors


def _cluster(cluster: types.ClusterConfiguration) -> list[FieldError]:
    errors = [
        *_networking(cluster.networking),
        *_names(cluster.api_server.cert_sans, Path("apiServer") / "certSANs"),
        *_arguments(cluster.api_server.extra_args, Path("apiServer") / "extraArgs"),
        *_arguments(cluster.controller_manager.extra_args, Path("controllerManager") / "extraArgs"),
        *_arguments(cluster.scheduler.extra_args, Path("scheduler") / "extraArgs"),
        *_absolute(cluster.certificates_dir, Path("certificatesDir")),
        *_etcd(cluster.etcd),
        *_duration(cluster.certificate_validity_period, Path("certificateValidityPeriod")),
        *_duration(cluster.ca_certificate_validity_period, Path("caCertificateValidityPeriod")),
    ]
    for name in cluster.feature_gates:
        if name not in FEATURES:
            text = f"{name} is not a valid feature name."
            errors.append(field.invalid(Path("featureGates"), cluster.feature_gates, text))
    if cluster.control_plane_endpoint:
        try:
            endpoints.split_host_port(cluster.control_plane_endpoint)
        except endpoints.EndpointError:
            path = Path("controlPlaneEndpoint")
            errors.append(field.invalid(path, cluster.control_plane_endpoint, "endpoint is not valid"))
    algorithm = cluster.encryption_algorithm
    if algorithm not in ALGORITHMS:
        text = f'Invalid encryption algorithm "{algorithm}". Must be one of [{" ".join(ALGORITHMS)}]'
        errors.append(field.invalid(Path("encryptionAlgorithm"), algorithm, text))
    return errors


def _networking(networking: types.Networking) -> list[FieldError]:
    path, domain = Path("networking"), networking.dns_domain
    errors = [field.invalid(path / "dnsDomain", domain, error) for error in dns1123_subdomain_errors(domain)]
    errors += _ranges(networking.service_subnet, SMALLEST_SERVICE_SUBNET, path / "serviceSubnet")
    if not errors:
        for network in map(ipaddress.ip_network, networking.service_subnet.split(",")):
            if network.max_prefixlen - network.prefixlen > LARGEST_SERVICE_BITS:
                least = network.max_prefixlen - LARGEST_SERVICE_BITS
                text = f"specified service subnet is too large; for {network.max_prefixlen}-bit addresses, the mask must be >= {least}"
                errors.append(field.invalid(path / "serviceSubnet", str(network), text))
    if networking.pod_subnet:
        errors += _ranges(networking.pod_subnet, SMALLEST_POD_SUBNET, path / "podSubnet")
    return errors


def _ranges(text: str, smallest: int, path: Path) -> list[FieldError]:
    try:
        networks = [ipaddress.ip_network(part.strip(), strict=False) for part in text.split(",")]
    except ValueError:
        return [field.invalid(path, text, "couldn't parse subnet")]
    if len(networks) > 2 or (len(networks) == 2 and networks[0].version == networks[1].version):
        return [field.invalid(path, text, TWO_RANGES)]
    return [
        field.invalid(
            path,
            str(network),
            f"subnet with {network.num_addresses} address(es) is too small, the minimum is {smallest}",
        )
        for network in networks
        if network.num_addresses < smallest
    ]


def _names(names: Iterable[str], path: Path) -> list[FieldError]:
    """IP addresses, DNS names, DNS names of which the first label is *."""
    errors = []
    for name in names:
        problems = dns1123_subdomain_errors(name)
        if not problems or endpoints.is_address(name):
            continue
        if name.startswith("*.") and not dns1123_subdomain_errors(name[2:]):
            continue
        text = "altname is not a valid IP address, DNS label or a DNS label with subdomain wildcards"
        errors.append(field.invalid(path, name, f"{text}: {'; '.join(problems)}"))
    return errors


def _etcd(etcd: types.Etcd) -> list[FieldError]:
    path, local, external = Path("etcd"), etcd.local, etcd.external
    if local is not None and external is not None:
        return [field.invalid(path, "", ".Etcd.Local and .Etcd.External are mutually exclusive")]
    if local is not None:
        return [
            *_absolute(local.data_dir, path / "local" / "dataDir"),
            *_names(local.server_cert_sans, path / "local" / "serverCertSANs"),
            *_names(local.peer_cert_sans, path / "local" / "peerCertSANs"),
            *_arguments(local.extra_args, path / "local" / "extraArgs"),
        ]
    return _external(external, path / "external") if external is not None else []


def _external(etcd: types.ExternalEtcd, path: Path) -> list[FieldError]:
    errors = []
    if bool(etcd.cert_file) != bool(etcd.key_file):
        text = "either both or none of .Etcd.External.CertFile and .Etcd.External.KeyFile must be set"
        errors.append(field.invalid(path, "", text))
    if etcd.cert_file and etcd.key_file and not etcd.ca_file:
        text = "setting .Etcd.External.CertFile and .Etcd.External.KeyFile requires .Etcd.External.CAFile"
        errors.append(field.invalid(path, "", text))
    secure = bool(etcd.ca_file or etcd.cert_file or etcd.key_file)
    for endpoint in etcd.endpoints:
        scheme = urlsplit(endpoint).scheme
        if secure and scheme != "https":
            errors.append(field.invalid(path / "endpoints", endpoint, "the URL must be using the HTTPS scheme"))
        if not scheme:
            errors.append(field.invalid(path / "endpoints", endpoint, "the URL without scheme is not allowed"))
    for name, file in (("caFile", etcd.ca_file), ("certFile", etcd.cert_file), ("keyFile", etcd.key_file)):
        errors += _absolute(file, path / name) if file else []
    return errors


def _absolute(text: str, path: Path) -> list[FieldError]:
    return [] if text.startswith("/") else [field.invalid(path, text, "path is not absolute")]


def _arguments(given: Sequence[types.Arg], path: Path) -> list[FieldError]:
    text = "argument has no name"
    return [field.invalid(path, f"index {index}", text) for index, arg in enumerate(given) if not arg.name]


def certificate_key(text: str, path: Path) -> list[FieldError]:
    """64 hexadecimal digits; the key itself is not told."""
    try:
        size = len(binascii.unhexlify(text))
    except ValueError as error:
        return [field.invalid(path, field.OMITTED, f"certificate key decoding error: {error}")]
    if size == KEY_BYTES:
        return []
    text = f"invalid certificate key size {size}, the key must be an AES key of size {KEY_BYTES}"
    return [field.invalid(path, field.OMITTED, text)]


def _durations(timeouts: types.Timeouts, path: Path) -> list[FieldError]:
    fields: dict[str, Any] = {name: getattr(timeouts, name) for name in timeouts.__struct_fields__}
    names = dict(zip(timeouts.__struct_fields__, timeouts.__struct_encode_fields__, strict=True))
    return [error for name, text in fields.items() for error in _duration(text, path / names[name])]


def _ahead(text: str, path: Path) -> list[FieldError]:
    """Of a negative one upstream makes a token that never ends, which nobody means by it."""
    if text and durations.parse_duration(text) < 0:
        return [field.invalid(path, text, "must be greater than 0, or 0 for a token that never ends")]
    return []


def _duration(text: str, path: Path) -> list[FieldError]:
    if not text:
        return []
    try:
        durations.parse_duration(text)
    except ValueError as error:
        return [field.invalid(path, text, str(error))]
    return []
