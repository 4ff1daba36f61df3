"""kubeadm's JoinConfiguration: read in both its forms, with every default, judged; pure (upstream: .../apis/kubeadm/v1beta4/types.go)."""

from __future__ import annotations

import typing

import msgspec

from pybernetes.api import bootstraptokens, field
from pybernetes.api.durations import parse_duration
from pybernetes.api.field import quote

from . import endpoints, types, v1beta3
from .configuration import (
    CERTIFICATES_DIR,
    GROUP,
    ConfigurationError,
    decoded,
    document,
    endpoint_defaults,
    node_defaults,
)
from .types import Fields
from .validation import certificate_key, cri_socket

KIND = "JoinConfiguration"
PIN = "sha256:"


class BootstrapTokenDiscovery(Fields):
    """Where the cluster is, and how it is known: a token, and the pins of its authority's public key."""

    token: str = ""
    api_server_endpoint: str = ""
    ca_cert_hashes: list[str] = msgspec.field(default_factory=list, name="caCertHashes")
    unsafe_skip_ca_verification: bool = msgspec.field(default=False, name="unsafeSkipCAVerification")


class FileDiscovery(Fields):
    """A kubeconfig, whose content is trusted."""

    kube_config_path: str = ""


class Discovery(Fields):
    """One of the two; `tls_bootstrap_token` where another token asks for the node's certificate. `timeout`: v1beta3's."""

    bootstrap_token: BootstrapTokenDiscovery | None = None
    file: FileDiscovery | None = None
    tls_bootstrap_token: str = ""
    timeout: str = ""


class JoinControlPlane(Fields):
    """Makes the host a control-plane host; `certificate_key` opens the certificates that the cluster keeps for two hours."""

    local_api_endpoint: types.APIEndpoint = msgspec.field(default_factory=types.APIEndpoint, name="localAPIEndpoint")
    certificate_key: str = ""


class JoinConfiguration(Fields):
    """v1beta4's."""

    ca_cert_path: str = ""
    discovery: Discovery = msgspec.field(default_factory=Discovery)
    control_plane: JoinControlPlane | None = None
    node_registration: types.NodeRegistration = msgspec.field(default_factory=types.NodeRegistration)
    skip_phases: list[str] = msgspec.field(default_factory=list)
    timeouts: types.Timeouts | None = None


class _V1beta3(Fields):
    """Its arguments are a map."""

    ca_cert_path: str = ""
    discovery: Discovery = msgspec.field(default_factory=Discovery)
    control_plane: JoinControlPlane | None = None
    node_registration: v1beta3.NodeRegistration = msgspec.field(default_factory=v1beta3.NodeRegistration)
    skip_phases: list[str] = msgspec.field(default_factory=list)


def parse(text: str) -> JoinConfiguration:
    """Of a file that may hold other documents, without defaults. ConfigurationError."""
    for version in ("v1beta4", "v1beta3"):
        parsed = document(text, (f"{GROUP}/{version}", KIND))
        if parsed is None:
            continue
        where = f"{GROUP}/{version}, Kind={KIND}"
        given = decoded(JoinConfiguration if version == "v1beta4" else _V1beta3, parsed, where)
        return _todays(given) if isinstance(given, _V1beta3) else typing.cast("JoinConfiguration", given)
    raise ConfigurationError(f"no {KIND} kind was found in the YAML file")


def _todays(old: _V1beta3) -> JoinConfiguration:
    return JoinConfiguration(
        ca_cert_path=old.ca_cert_path,
        discovery=old.discovery,
        control_plane=old.control_plane,
        node_registration=v1beta3.node_registration(old.node_registration),
        skip_phases=old.skip_phases,
    )


def defaulted(join: JoinConfiguration, node_name: str, address: str) -> JoinConfiguration:
    """With the host's own facts and kubeadm's defaults; what is given stays."""
    discovery, control_plane = join.discovery, join.control_plane
    if control_plane is not None:
        endpoint = endpoint_defaults(control_plane.local_api_endpoint, address)
        control_plane = msgspec.structs.replace(control_plane, local_api_endpoint=endpoint)
    token = discovery.bootstrap_token.token if discovery.bootstrap_token is not None else ""
    return msgspec.structs.replace(
        join,
        ca_cert_path=join.ca_cert_path or f"{CERTIFICATES_DIR}/ca.crt",
        discovery=msgspec.structs.replace(discovery, tls_bootstrap_token=discovery.tls_bootstrap_token or token),
        control_plane=control_plane,
        node_registration=node_defaults(join.node_registration, node_name),
    )


def check(join: JoinConfiguration) -> None:
    """ConfigurationError for what cannot be used; says what to give."""
    discovery, by_token = join.discovery, join.discovery.bootstrap_token
    if by_token is not None and discovery.file is not None:
        raise ConfigurationError(
            "discovery: bootstrapToken and file cannot be used together: give ADDRESS:PORT with a token, or --discovery-file"
        )
    if (by_token is None) == (discovery.file is None):
        raise ConfigurationError(
            "say how the cluster is known: `join ADDRESS:PORT --token TOKEN --discovery-token-ca-cert-hash sha256:HASH`, or --discovery-file; "
            "`pybernetes token create --print-join-command` on a control-plane host prints the first"
        )
    if by_token is not None:
        _check_token_discovery(by_token)
    if problems := cri_socket(join.node_registration.cri_socket, field.Path("nodeRegistration") / "criSocket"):
        raise ConfigurationError(field.aggregate(problems))
    token = discovery.tls_bootstrap_token
    if (token or discovery.file is None) and bootstraptokens.split(token) is None:
        raise ConfigurationError(
            f"tlsBootstrapToken: {_hidden(token)}: the bootstrap token is invalid: want abcdef.0123456789abcdef"
        )
    if join.control_plane is not None and not endpoints.is_address(
        join.control_plane.local_api_endpoint.advertise_address
    ):
        address = quote(join.control_plane.local_api_endpoint.advertise_address)
        raise ConfigurationError(f"controlPlane.localAPIEndpoint.advertiseAddress: {address}: ip address is not valid")
    if join.control_plane is not None and join.control_plane.certificate_key:
        path = field.Path("controlPlane") / "certificateKey"
        if problems := certificate_key(join.control_plane.certificate_key, path):
            again = "`pybernetes init phase upload-certs --upload-certs` on a control-plane host prints another one"
            raise ConfigurationError(f"{field.aggregate(problems)}; {again}")
    if discovery.timeout:
        try:
            parse_duration(discovery.timeout)
        except ValueError as error:
            raise ConfigurationError(f"discovery.timeout: {error}") from error


def _check_token_discovery(given: BootstrapTokenDiscovery) -> None:
    if bootstraptokens.split(given.token) is None:
        raise ConfigurationError(
            f"discovery.bootstrapToken.token: {_hidden(given.token)}: want abcdef.0123456789abcdef"
        )
    try:
        host, port = endpoints.split_host_port(given.api_server_endpoint)
    except endpoints.EndpointError as error:
        raise ConfigurationError(f"discovery.bootstrapToken.apiServerEndpoint: {error}") from error
    if not host or not port:
        raise ConfigurationError(
            f"discovery.bootstrapToken.apiServerEndpoint: {quote(given.api_server_endpoint)}: want ADDRESS:PORT of the API server"
        )
    if not given.ca_cert_hashes and not given.unsafe_skip_ca_verification:
        raise ConfigurationError(
            "the cluster's authority has to be known: give --discovery-token-ca-cert-hash sha256:HASH (`pybernetes token create "
            "--print-join-command` prints it), or --discovery-token-unsafe-skip-ca-verification to trust whoever answers"
        )
    for pin in given.ca_cert_hashes:
        digits = pin.removeprefix(PIN)
        if not pin.startswith(PIN) or len(digits) != 64 or set(digits.lower()) - set("0123456789abcdef"):
            raise ConfigurationError(
                f"discovery.bootstrapToken.caCertHashes: {quote(pin)}: want sha256: and 64 hexadecimal digits"
            )


def _hidden(token: str) -> str:
    """What is wrong may be most of a secret."""
    return quote(f"{token[:6]}..." if len(token) > 6 else token)
