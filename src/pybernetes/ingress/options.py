"""nginx-ingress-controller's flags (upstream: pkg/flags/flags.go; what is not here is refused as an unknown flag)."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pybernetes.component import flags
from pybernetes.component.clientflags import client_flags
from pybernetes.component.command import VERBOSITY, UsageError
from pybernetes.component.flags import Flag, Values

from . import certificates, quoting
from .annotations import PREFIX
from .classes import CONTROLLER, Classes
from .controller import Config
from .model import Key
from .quoting import Invalid

HEALTH_PORT = 10254  # upstream's
LEASE = "ingress-controller-leader"  # upstream's
FOLDER = "/run/ingress-nginx"  # memory, not a disk: keys are among the files

FLAGS = (
    Flag("annotations-prefix", flags.string, PREFIX, "What names of annotations begin with."),
    Flag("controller-class", flags.string, CONTROLLER, "The spec.controller of the IngressClasses to serve."),
    Flag("default-backend-service", flags.string, "", "NAMESPACE/NAME of who answers where no rule fits; empty: 404."),
    Flag("default-ssl-certificate", flags.string, "", "NAMESPACE/NAME of the secret to show for hosts without one."),
    Flag("disable-svc-external-name", flags.boolean, False, "Lead to no service of type ExternalName."),
    Flag("election-id", flags.string, LEASE, "The lease of who writes statuses."),
    Flag("election-namespace", flags.string, "kube-system", "The namespace of that lease."),
    Flag("healthz-host", flags.string, "127.0.0.1", "Where health and metrics are served."),
    Flag("healthz-port", flags.integer, HEALTH_PORT, "And the port; 0: nowhere."),
    Flag("http-port", flags.integer, 80, "Where nginx listens for HTTP, on all addresses."),
    Flag("https-port", flags.integer, 443, "And for HTTPS."),
    Flag("ingress-class", flags.string, "nginx", "The class in the annotation kubernetes.io/ingress.class."),
    Flag("nginx", flags.string, "nginx", "The program."),
    Flag("nginx-dir", flags.string, FOLDER, "Where its configuration and its files lie; this controller's alone."),
    Flag("nginx-workers", flags.integer, 0, "How many workers; 0: as many as CPUs."),
    Flag("publish-service", flags.string, "", "NAMESPACE/NAME of the service whose addresses are the Ingresses'."),
    Flag("publish-status-address", flags.strings, [], "The Ingresses' addresses: IPs, or names of hosts."),
    Flag(
        "report-node-internal-ip-address",
        flags.boolean,
        False,
        "In a pod, without the flags above: the addresses are InternalIPs of the pods' nodes, also where these have ExternalIPs.",
    ),
    Flag("sync-rate-limit", flags.number, 0.3, "How often a second nginx may get another configuration."),
    Flag("update-status", flags.boolean, True, "Write the addresses into the Ingresses' statuses."),
    Flag("update-status-on-shutdown", flags.boolean, True, "And take them out at the end."),
    Flag("watch-ingress-without-class", flags.boolean, False, "Serve Ingresses that name no class, too."),
    Flag("watch-namespace", flags.string, "", "Serve Ingresses of this namespace alone."),
    *client_flags(burst=10),
    VERBOSITY,
)


@dataclass(frozen=True, slots=True)
class IngressControllerOptions:
    """`serving` is (host, port), None where nothing is served; `pod` is this one, None outside of a cluster; `writes`: whether there is who
    says the addresses."""

    config: Config
    folder: Path
    http_port: int
    https_port: int
    workers: int
    addresses: tuple[str, ...]
    service: Key | None
    pod: Key | None
    internal: bool
    writes: bool
    clears: bool
    serving: tuple[str, int] | None


def ingress_controller_options(values: Values, environment: Mapping[str, str]) -> IngressControllerOptions:
    """Checked values; a pod is told its POD_NAMESPACE and POD_NAME. UsageError with the flag's name."""
    for name in ("http-port", "https-port"):
        if not 0 < values[name] < 65536:
            raise UsageError(f"--{name}={values[name]}: want 1 to 65535")
    if values["http-port"] == values["https-port"]:
        raise UsageError(f"--http-port and --https-port are both {values['http-port']}: want two")
    if not 0 <= values["healthz-port"] < 65536:
        raise UsageError(f"--healthz-port={values['healthz-port']}: want 0 to 65535")
    if not 0 < values["sync-rate-limit"] <= 1000:
        raise UsageError(f"--sync-rate-limit={values['sync-rate-limit']}: want more than 0, up to 1000")
    if not 0 <= values["nginx-workers"] <= 1024:
        raise UsageError(f"--nginx-workers={values['nginx-workers']}: want 0 to 1024")
    if values["publish-service"] and values["publish-status-address"]:
        raise UsageError("--publish-service and --publish-status-address: give one of them")
    try:
        ipaddress.ip_address(values["healthz-host"])
    except ValueError:
        raise UsageError(f"--healthz-host={values['healthz-host']}: want an IP address") from None
    service = _object(values, "publish-service")
    addresses = tuple(_address(each) for each in values["publish-status-address"])
    namespace, name = environment.get("POD_NAMESPACE", ""), environment.get("POD_NAME", "")
    pod = (namespace, name) if namespace and name else None
    config = Config(
        classes=Classes(values["ingress-class"], values["controller-class"], values["watch-ingress-without-class"]),
        namespace=values["watch-namespace"],
        default_backend=_object(values, "default-backend-service"),
        default_certificate=_object(values, "default-ssl-certificate"),
        prefix=values["annotations-prefix"],
        external_names=not values["disable-svc-external-name"],
        rate=values["sync-rate-limit"],
    )
    return IngressControllerOptions(
        config=config,
        folder=Path(values["nginx-dir"]).absolute(),
        http_port=values["http-port"],
        https_port=values["https-port"],
        workers=values["nginx-workers"],
        addresses=addresses,
        service=service,
        pod=pod,
        internal=values["report-node-internal-ip-address"],
        writes=values["update-status"] and bool(addresses or service or pod),
        clears=values["update-status-on-shutdown"],
        serving=(values["healthz-host"], values["healthz-port"]) if values["healthz-port"] else None,
    )


def _object(values: Values, name: str) -> Key | None:
    if not values[name]:
        return None
    try:
        return certificates.key_of(values[name])
    except Invalid as error:
        raise UsageError(f"--{name}: {error}") from None


def _address(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text.strip()))
    except ValueError:
        pass
    try:
        return quoting.host(text.strip())
    except Invalid as error:
        raise UsageError(f"--publish-status-address: {error}, and no IP address") from None
