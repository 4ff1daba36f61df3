"""Flags of the commands that put a cluster together, and the configuration that they mean (upstream: cmd/kubeadm/app/cmd/options)."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import Awaitable, Callable, Collection
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from pybernetes.component import flags
from pybernetes.component.command import Failure, UsageError
from pybernetes.component.flags import Flag, Values

if TYPE_CHECKING:
    from pybernetes.client.rest import RESTClient
    from pybernetes.deploy.configuration import Configuration

_log = logging.getLogger(__name__)

T = TypeVar("T")

ADMIN_KUBECONFIG = "/etc/kubernetes/admin.conf"
CLUSTER_SECONDS = 10.0  # for a cluster to say what it was made with; certificates are renewed without it too
CONFIG_MAP, CONFIG_NAMESPACE, CONFIG_KEY = "kubeadm-config", "kube-system", "ClusterConfiguration"

CONFIG = Flag("config", flags.string, "", "Path to a kubeadm configuration file.")
CERT_DIR = Flag("cert-dir", flags.string, "/etc/kubernetes/pki", "The path where to save and store the certificates.")
KUBECONFIG_DIR = Flag("kubeconfig-dir", flags.string, "/etc/kubernetes", "The path where to save the kubeconfig file.")
KUBECONFIG = Flag(
    "kubeconfig", flags.string, ADMIN_KUBECONFIG, "The kubeconfig file to use when talking to the cluster."
)
ADVERTISE_ADDRESS = Flag(
    "apiserver-advertise-address",
    flags.string,
    "",
    "The IP address the API Server will advertise it's listening on; that of the default route where it is not set.",
)
BIND_PORT = Flag("apiserver-bind-port", flags.integer, 6443, "Port for the API Server to bind to.")
ENDPOINT = Flag(
    "control-plane-endpoint",
    flags.string,
    "",
    "A stable IP address or DNS name for the control plane, with or without port.",
)
EXTRA_SANS = Flag(
    "apiserver-cert-extra-sans",
    flags.strings,
    [],
    "Further names of the API Server's serving certificate: IP addresses and DNS names.",
)
DOMAIN = Flag("service-dns-domain", flags.string, "cluster.local", "The domain of services, e.g. myorg.internal.")
SERVICE_CIDR = Flag("service-cidr", flags.string, "10.96.0.0/12", "The range of IP addresses for service VIPs.")
NODE_NAME = Flag("node-name", flags.string, "", "The node's name; the host's where it is not set.")
VERSION = flags.ignored("kubernetes-version", flags.string, "certificates and kubeconfigs are alike for all", "")
OUTPUT = Flag("output", flags.string, "text", "Output format. One of: text|json|yaml.", short="o")

# What a configuration file says itself.
OF_FILE = {
    *(
        flag.name
        for flag in (CERT_DIR, ADVERTISE_ADDRESS, BIND_PORT, ENDPOINT, EXTRA_SANS, DOMAIN, SERVICE_CIDR, VERSION)
    ),
    *("feature-gates", "cri-socket"),
    *("ttl", "usages", "groups", "description", "certificate-key"),
}


def unmixed(values: Values, more: Collection[str] = ()) -> None:
    """UsageError where --config comes with flags that say the same things; `more` are those of one command alone."""
    mixed = sorted(values.given & {*OF_FILE, *more})
    if "config" in values.given and mixed:
        raise UsageError(f"can not mix '--config' with arguments [{' '.join(mixed)}]")


def output_format(values: Values) -> str:
    """text, json or yaml. UsageError."""
    from pybernetes.deploy.tables import FORMATS

    form: str = values["output"]
    if form not in FORMATS:
        text = f'unable to match a printer suitable for the output format "{form}", allowed formats are: {",".join(FORMATS)}'
        raise UsageError(f"could not construct output printer: {text}")
    return form


def configuration(values: Values) -> Configuration:
    """Of --config, or of the other flags, with every default. UsageError."""
    unmixed(values)
    return complete(_of_file(values["config"]) if values["config"] else _of_flags(values), values)


def complete(given: Configuration, values: Values) -> Configuration:
    """With the host's facts and the defaults, judged. UsageError."""
    from pybernetes.deploy import configuration, validation

    address = given.init.local_api_endpoint.advertise_address or _address()
    name = str(values.get("node-name") or os.uname().nodename)
    completed = configuration.defaulted(given, name, address)
    try:
        validation.check(completed)
    except configuration.ConfigurationError as error:
        raise UsageError(f"--config={values['config']}: {error}" if values["config"] else str(error)) from error
    return completed


def of_cluster(values: Values, purpose: str, tell: Callable[[str], None]) -> Configuration:
    """As the cluster says it was made, where it can be asked; else of --config or the flags. UsageError."""
    kubeconfig = Path(values["kubeconfig"])
    unmixed(values)
    if values["config"] or not kubeconfig.exists():
        return configuration(values)
    try:
        fetched = asyncio.run(_fetch(kubeconfig, purpose, tell))
    except Failure as error:
        _log.debug("%s", error)
        tell(f"[{purpose}] Error reading configuration from the Cluster. Falling back to default configuration\n")
        return configuration(values)
    tell("")
    if "cert-dir" in values.given:
        fetched.cluster.certificates_dir = values["cert-dir"]
    return complete(fetched, values)


async def _fetch(kubeconfig: Path, purpose: str, tell: Callable[[str], None]) -> Configuration:
    from pybernetes.api.types import core_v1
    from pybernetes.deploy.configuration import ConfigurationError, parse

    tell(f'[{purpose}] Reading configuration from the "{CONFIG_MAP}" ConfigMap in namespace "{CONFIG_NAMESPACE}"...')
    try:
        async with asyncio.timeout(CLUSTER_SECONDS):
            config_map = await asked(
                kubeconfig, lambda client: client.get(core_v1.ConfigMap, CONFIG_MAP, CONFIG_NAMESPACE)
            )
        return parse(config_map.data.get(CONFIG_KEY, "")).configuration
    except (TimeoutError, ConfigurationError) as error:
        raise Failure(str(error) or f"no answer in {CLUSTER_SECONDS:.0f} s") from error


async def asked(kubeconfig: Path, work: Callable[[RESTClient], Awaitable[T]]) -> T:
    """What a cluster answers to the administrator. Failure in words."""
    from pybernetes.api.errors import StatusError
    from pybernetes.client.kubeconfig import ConfigError, load
    from pybernetes.client.rest import RESTClient

    try:
        client = RESTClient(load(kubeconfig), "pybernetes")
    except ConfigError as error:
        raise Failure(str(error)) from error
    try:
        return await work(client)
    except (StatusError, ConnectionError, TimeoutError, ConfigError) as error:
        raise Failure(f"{kubeconfig}: {error or type(error).__name__}") from error
    finally:
        await client.close()


def kubeconfig_path(values: Values) -> Path:
    """--kubeconfig, else the first there is of KUBECONFIG's, a user's own and kubeadm's."""
    if "kubeconfig" in values.given:
        return Path(values["kubeconfig"])
    places = [Path(place) for place in os.environ.get("KUBECONFIG", "").split(os.pathsep) if place]
    if not places and os.environ.get("HOME"):
        places = [Path(os.environ["HOME"]) / ".kube/config"]
    places.append(Path(ADMIN_KUBECONFIG))
    return next((place for place in places if place.exists()), places[-1])


def config_text(path: str, flag: str = "config") -> str:
    """What is in the file of --config, or of another `flag`; "-" for standard input; "" for none. UsageError.

    Several look at it, and a pipe (--config /dev/stdin) is empty the second time: it is read once.
    """
    try:
        if path and (path == "-" or not Path(path).is_file()):
            return _piped(path)
        return Path(path).read_text() if path else ""
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise UsageError(f"--{flag}={path}: {reason}") from error


@cache
def _piped(path: str) -> str:
    return sys.stdin.read() if path == "-" else Path(path).read_text()


def _of_file(path: str) -> Configuration:
    from pybernetes.deploy.configuration import KUBELET, LAYOUT, PROXY, ConfigurationError, parse

    try:
        parsed = parse(config_text(path))
    except ConfigurationError as error:
        raise UsageError(f"--config={path}: {error}") from error
    for version, kind in parsed.ignored:
        if (version, kind) in (LAYOUT, KUBELET, PROXY):
            continue  # beside kubeadm's, and read where it counts
        text = f"[config] WARNING: Ignored configuration document with GroupVersionKind {version}, Kind={kind}"
        print(text, file=sys.stderr)
    return parsed.configuration


def _of_flags(values: Values) -> Configuration:
    from pybernetes.deploy import types
    from pybernetes.deploy.configuration import Configuration

    cluster = types.ClusterConfiguration(
        control_plane_endpoint=values.get("control-plane-endpoint", ""),
        certificates_dir=values.get("cert-dir", ""),
        networking=types.Networking(
            service_subnet=values.get("service-cidr", ""), dns_domain=values.get("service-dns-domain", "")
        ),
        api_server=types.APIServer(cert_sans=[name.lower() for name in values.get("apiserver-cert-extra-sans", ())]),
        kubernetes_version=values.get("kubernetes-version", ""),
        feature_gates=values.get("feature-gates", {}),
    )
    node = types.NodeRegistration(cri_socket=values.get("cri-socket", ""))
    endpoint = types.APIEndpoint(
        advertise_address=values.get("apiserver-advertise-address", ""), bind_port=values.get("apiserver-bind-port", 0)
    )
    return Configuration(types.InitConfiguration(local_api_endpoint=endpoint, node_registration=node), cluster)


def _address() -> str:
    from pybernetes.net.addresses import outward_address

    address = outward_address() or outward_address(6)
    if not address:
        text = "could not obtain a bind address for the API Server: no default routes found; using: 0.0.0.0"
        print(f"WARNING: {text}", file=sys.stderr)
    return address or "0.0.0.0"
