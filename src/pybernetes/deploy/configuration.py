"""kubeadm's configuration files: read, in today's form and with every default; pure (upstream: cmd/kubeadm/app/util/config).

Of v1beta3 and v1beta4 every field is known. Where upstream warns of a field that it does not know and goes on without it, that is an
error here: nobody reads such a warning, and the cluster is another one than was asked for.
"""

from __future__ import annotations

import re
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from pybernetes.api import field
from pybernetes.api.version import KUBERNETES

from . import types, v1beta2, v1beta3
from .types import ClusterConfiguration, InitConfiguration

GROUP = "kubeadm.k8s.io"
INIT, CLUSTER = "InitConfiguration", "ClusterConfiguration"
FORMS: Mapping[str, Mapping[str, type[msgspec.Struct]]] = {
    "v1beta4": {INIT: InitConfiguration, CLUSTER: ClusterConfiguration},
    "v1beta3": {INIT: v1beta3.InitConfiguration, CLUSTER: v1beta3.ClusterConfiguration},
}
NEWEST = "v1beta4"
# In which a cluster's configuration can be kept: by version, the form of its ClusterConfiguration.
KEPT: Mapping[str, type[msgspec.Struct]] = {
    NEWEST: ClusterConfiguration,
    "v1beta3": v1beta3.ClusterConfiguration,
    "v1beta2": v1beta2.ClusterConfiguration,
}
# Versions that are read no more, and the last kubeadm that migrates them.
OLD = {
    "v1alpha1": "v1.11",
    "v1alpha2": "v1.12",
    "v1alpha3": "v1.14",
    "v1beta1": "v1.15",
    "v1beta2": "v1.22",
}
# What may stand in the same file and is somebody else's business.
KUBELET, PROXY = (
    ("kubelet.config.k8s.io/v1beta1", "KubeletConfiguration"),
    ("kubeproxy.config.k8s.io/v1alpha1", "KubeProxyConfiguration"),
)
LAYOUT = ("pybernetes.io/v1alpha1", "ClusterLayout")
ELSEWHERE = {
    KUBELET,
    PROXY,
    LAYOUT,
    *((f"{GROUP}/{v}", kind) for v in FORMS for kind in ("JoinConfiguration", "ResetConfiguration", "UpgradeConfiguration")),
}  # fmt: skip

KUBERNETES_DIR = "/etc/kubernetes"
CERTIFICATES_DIR = f"{KUBERNETES_DIR}/pki"
CLUSTER_NAME = "kubernetes"
IMAGE_REPOSITORY = "registry.k8s.io"
SERVICE_SUBNET = "10.96.0.0/12"
DNS_DOMAIN = "cluster.local"
ETCD_DATA_DIR = "/var/lib/etcd"
BIND_PORT = 6443
ALGORITHM = "RSA-2048"
VALIDITY, CA_VALIDITY = "8760h0m0s", "87600h0m0s"  # a year, ten years
TOKEN_TTL = "24h0m0s"
TOKEN_USAGES = ("signing", "authentication")
TOKEN_GROUPS = ("system:bootstrappers:kubeadm:default-node-token",)
ECDSA_GATE = "PublicKeysECDSA"  # how encryptionAlgorithm was asked for before there was such a field


class ConfigurationError(ValueError):
    """A file that cannot be used; one line that names the field."""


@dataclass(frozen=True, slots=True)
class Configuration:
    """The two objects in today's form."""

    init: InitConfiguration
    cluster: ClusterConfiguration


@dataclass(frozen=True, slots=True)
class Parsed:
    """A file's content; `ignored` are the documents that are not for who asks, as apiVersion, kind."""

    configuration: Configuration
    ignored: tuple[tuple[str, str], ...] = ()


def parse(text: str) -> Parsed:
    """The documents of a file, without defaults. ConfigurationError."""
    by_kind: dict[str, tuple[str, msgspec.Struct]] = {}
    ignored = []
    for document in documents(text):
        version, kind = str(document.get("apiVersion") or ""), str(document.get("kind") or "")
        if not version or not kind:
            where = f'{{apiVersion: "{version}", kind: "{kind}"}}'
            raise ConfigurationError(f"invalid configuration {where}: kind and apiVersion is mandatory information")
        if (version, kind) in ELSEWHERE:
            ignored.append((version, kind))
            continue
        form = _form(version, kind)
        if kind in by_kind:
            raise ConfigurationError(f'invalid configuration: kind "{kind}" is specified twice in YAML file')
        by_kind[kind] = version, decoded(form, document, f"{version}, Kind={kind}")
    if not by_kind:
        raise ConfigurationError("no InitConfiguration or ClusterConfiguration kind was found in the YAML file")
    return Parsed(_todays(by_kind.get(INIT), by_kind.get(CLUSTER)), tuple(ignored))


def kept(text: str) -> ClusterConfiguration:
    """What a cluster remembers of itself; one of kubeadm 1.15 to 1.21 in a version that files may not have any more. ConfigurationError."""
    version = f"{GROUP}/v1beta2"
    old = document(text, (version, CLUSTER))
    if old is None:
        return parse(text).configuration.cluster
    given = decoded(v1beta2.ClusterConfiguration, old, f"{version}, Kind={CLUSTER}")
    try:
        return v1beta2.cluster(typing.cast("v1beta2.ClusterConfiguration", given))
    except ValueError as error:
        raise ConfigurationError(str(error)) from error


def defaulted(configuration: Configuration, node_name: str, address: str) -> Configuration:
    """With what a host's own facts and kubeadm's defaults add; what is given stays."""
    return Configuration(
        _init_defaults(configuration.init, node_name, address), _cluster_defaults(configuration.cluster)
    )


def is_own_version(text: str) -> bool:
    """Whether a kubernetesVersion is this release's, or a label that means it (util.KubernetesReleaseVersion)."""
    minor = re.escape(KUBERNETES.rpartition(".")[0])
    if re.fullmatch(rf"(?:(?:ci|ci-cross|release)/)?(?:k8s-)?(?:stable|latest)(?:-(?:1|{minor}))?", text):
        return True
    return text.removeprefix("v").partition("+")[0] == KUBERNETES


def token_defaults(token: types.BootstrapToken) -> types.BootstrapToken:
    """A day, both usages and kubeadm's group, where nothing else is said."""
    return msgspec.structs.replace(
        token,
        ttl=token.ttl or ("" if token.expires else TOKEN_TTL),
        usages=list(TOKEN_USAGES) if not token.usages else token.usages,
        groups=list(TOKEN_GROUPS) if not token.groups else token.groups,
    )


def text(cluster: ClusterConfiguration, version: str = NEWEST) -> str:
    """The object as YAML, as it is kept in the cluster, in a version of KEPT. ConfigurationError for what an older one has no words for."""
    import yaml

    # Components without settings are shown all the same, as kubeadm does.
    content: dict[str, Any] = {name: {} for name in ("apiServer", "controllerManager", "scheduler", "dns", "proxy")}
    content |= msgspec.to_builtins(cluster) if version == NEWEST else _in_older_words(cluster, version)
    if version != NEWEST:
        del content["proxy"]
    return yaml.safe_dump({**content, "apiVersion": f"{GROUP}/{version}", "kind": CLUSTER})


def _in_older_words(cluster: ClusterConfiguration, version: str) -> dict[str, Any]:
    """ConfigurationError names what there are none for."""
    unsaid = {
        "encryption_algorithm": (ALGORITHM, "ECDSA-P256"),
        "certificate_validity_period": (VALIDITY,),
        "ca_certificate_validity_period": (CA_VALIDITY,),
    }
    given = {name: "" for name, values in unsaid.items() if getattr(cluster, name) in values}
    content: dict[str, Any] = msgspec.to_builtins(msgspec.structs.replace(cluster, **given))
    if cluster.encryption_algorithm == "ECDSA-P256":
        content["featureGates"] = {**cluster.feature_gates, ECDSA_GATE: True}
    if not content.get("proxy"):
        content.pop("proxy", None)
    if version == "v1beta2":
        content["dns"] = {**content.get("dns", {}), "type": v1beta2.CORE_DNS}
    parts = [content.get(name, {}) for name in ("apiServer", "controllerManager", "scheduler")]
    parts.append(content.get("etcd", {}).get("local") or {})
    repeated = []
    for part in parts:
        arguments = part.pop("extraArgs", [])
        names = [argument["name"] for argument in arguments]
        repeated += [f"--{name} twice" for name in sorted(set(names)) if names.count(name) > 1]
        if arguments:
            part["extraArgs"] = {argument["name"]: argument.get("value", "") for argument in arguments}
    if problems := [*_unknown(KEPT[version], content, ""), *repeated]:
        raise ConfigurationError(f"{GROUP}/{version} has no words for {', '.join(problems)}")
    return content


def _init_defaults(init: InitConfiguration, node_name: str, address: str) -> InitConfiguration:
    node, endpoint = init.node_registration, init.local_api_endpoint
    return msgspec.structs.replace(
        init,
        bootstrap_tokens=[token_defaults(token) for token in init.bootstrap_tokens],
        node_registration=node_defaults(node, node_name),
        local_api_endpoint=endpoint_defaults(endpoint, address),
    )


def node_defaults(node: types.NodeRegistration, name: str) -> types.NodeRegistration:
    """With the host's own name where no other is given."""
    return msgspec.structs.replace(node, name=(node.name or name).strip().lower())


def endpoint_defaults(endpoint: types.APIEndpoint, address: str) -> types.APIEndpoint:
    """With the host's own address, and the port of all API servers, where nothing else is given."""
    return msgspec.structs.replace(
        endpoint,
        advertise_address=endpoint.advertise_address or address,
        bind_port=endpoint.bind_port or BIND_PORT,
    )


def _cluster_defaults(cluster: ClusterConfiguration) -> ClusterConfiguration:
    etcd, networking = cluster.etcd, cluster.networking
    local = etcd.local if etcd.local or etcd.external else types.LocalEtcd()
    if local is not None:
        local = msgspec.structs.replace(local, data_dir=local.data_dir or ETCD_DATA_DIR)
    algorithm = "ECDSA-P256" if cluster.feature_gates.get(ECDSA_GATE) else ALGORITHM
    return msgspec.structs.replace(
        cluster,
        etcd=types.Etcd(local=local, external=etcd.external),
        networking=msgspec.structs.replace(
            networking,
            service_subnet=networking.service_subnet or SERVICE_SUBNET,
            dns_domain=networking.dns_domain or DNS_DOMAIN,
        ),
        kubernetes_version=_version(cluster.kubernetes_version),
        certificates_dir=cluster.certificates_dir or CERTIFICATES_DIR,
        image_repository=cluster.image_repository or IMAGE_REPOSITORY,
        cluster_name=cluster.cluster_name or CLUSTER_NAME,
        encryption_algorithm=cluster.encryption_algorithm or algorithm,
        certificate_validity_period=cluster.certificate_validity_period or VALIDITY,
        ca_certificate_validity_period=cluster.ca_certificate_validity_period or CA_VALIDITY,
    )


def _version(given: str) -> str:
    """A label is kept as the version that it means."""
    return f"v{KUBERNETES}" if not given or is_own_version(given) else given


def _form(version: str, kind: str) -> type[msgspec.Struct]:
    group, _, name = version.partition("/")
    if group == GROUP and name in OLD:
        raise ConfigurationError(
            f'your configuration file uses an old API spec: "{version}" (kind: "{kind}"). Please use kubeadm {OLD[name]} instead and run '
            "'kubeadm config migrate --old-config old-config-file --new-config new-config-file', which will write the new, similar "
            "spec using a newer API version."
        )
    form = FORMS.get(name, {}).get(kind) if group == GROUP else None
    if form is None:
        raise ConfigurationError(f"unknown configuration API: {version}, Kind={kind}")
    return form


def _todays(init: tuple[str, Any] | None, cluster: tuple[str, Any] | None) -> Configuration:
    given = cluster[1] if cluster else ClusterConfiguration()
    timeout = ""
    if isinstance(given, v1beta3.ClusterConfiguration):
        timeout, given = given.api_server.timeout_for_control_plane, v1beta3.cluster(given)
    first = init[1] if init else InitConfiguration()
    if isinstance(first, v1beta3.InitConfiguration):
        first = v1beta3.init(first, timeout)
    elif timeout and first.timeouts is None:
        timeouts = types.Timeouts(control_plane_component_health_check=timeout)
        first = msgspec.structs.replace(first, timeouts=timeouts)
    return Configuration(first, given)


def document(text: str, identity: tuple[str, str]) -> dict[str, Any] | None:
    """The one of an (apiVersion, kind), without these two; None: there is none. ConfigurationError, also for two of them."""
    matching = [one for one in documents(text) if (one.get("apiVersion"), one.get("kind")) == identity]
    if len(matching) > 1:
        raise ConfigurationError(f'invalid configuration: kind "{identity[1]}" is specified twice in YAML file')
    return (
        {name: value for name, value in matching[0].items() if name not in ("apiVersion", "kind")} if matching else None
    )


def documents(text: str) -> Iterator[dict[str, Any]]:
    """All objects of a YAML file, without their nulls. ConfigurationError."""
    import yaml

    try:
        documents = list(yaml.load_all(text, _loader()))
    except yaml.YAMLError as error:
        raise ConfigurationError(" ".join(str(error).split())) from error
    for document in documents:
        if document is None:
            continue
        if not isinstance(document, dict):
            raise ConfigurationError(f"want objects, not {field.quote(document)}")
        yield _without_nulls(document)


def _loader() -> Any:
    """YAML as JSON has it: no dates, and no key twice in a map."""
    import yaml

    class Loader(yaml.SafeLoader):
        yaml_implicit_resolvers = {  # noqa: RUF012 - as of the class above
            first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith(":timestamp")]
            for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
        }

        def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
            seen: set[str] = set()
            for key, value in node.value:
                if key.value in seen and not key.tag.endswith(":merge"):
                    line = value.start_mark.line + 1
                    raise yaml.YAMLError(f'line {line}: key "{key.value}" already set in map')
                if isinstance(key, yaml.ScalarNode):
                    seen.add(key.value)
            return super().construct_mapping(node, deep)

    return Loader


def _without_nulls(value: Any) -> Any:
    """Go reads null as nothing."""
    if isinstance(value, dict):
        return {str(key): _without_nulls(item) for key, item in value.items() if item is not None}
    return [_without_nulls(item) for item in value] if isinstance(value, list) else value


def decoded(form: type[msgspec.Struct], document: Mapping[str, Any], where: str) -> msgspec.Struct:
    """An object of a form, `where` names it. ConfigurationError, also for fields that the form has not."""
    content = {key: value for key, value in document.items() if key not in ("apiVersion", "kind")}
    unknown = list(_unknown(form, content, ""))
    if unknown:
        names = ", ".join(f'unknown field "{path}"' for path in unknown)
        raise ConfigurationError(f"error unmarshaling configuration {where}: strict decoding error: {names}")
    try:
        return msgspec.convert(content, form)
    except msgspec.ValidationError as error:
        raise ConfigurationError(f"error unmarshaling configuration {where}: {error}") from error


def _unknown(form: type[msgspec.Struct], content: Mapping[str, Any], prefix: str) -> Iterator[str]:
    """The paths of what the form has not."""
    hints = typing.get_type_hints(form)
    fields = {fields.encode_name: hints[fields.name] for fields in msgspec.structs.fields(form)}
    for name, value in content.items():
        path = f"{prefix}{name}"
        if name not in fields:
            yield path
            continue
        inner = _struct_of(fields[name])
        if inner is None or (typing.get_origin(fields[name]) is list) != isinstance(value, list):
            continue  # of another type: the decoder says so
        for place, part in enumerate(value) if isinstance(value, list) else [(-1, value)]:
            if isinstance(part, dict):
                yield from _unknown(inner, part, f"{path}[{place}]." if place >= 0 else f"{path}.")


def _struct_of(hint: Any) -> type[msgspec.Struct] | None:
    """The form that a field holds, one or a list of them."""
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        return hint
    return next(filter(None, map(_struct_of, typing.get_args(hint))), None)
