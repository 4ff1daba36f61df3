"""`pybernetes join`: this host into a cluster, as a worker or with --control-plane (upstream: cmd/kubeadm/app/cmd/join.go).

`join ADDRESS:PORT --token TOKEN --discovery-token-ca-cert-hash sha256:HASH` is kubeadm's; `join TOKEN@ADDRESS:PORT --ca-hash sha256:HASH`
means the same.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from pybernetes.component import command, flags, subcommands
from pybernetes.component.command import Failure, UsageError
from pybernetes.component.flags import Flag, FlagError, Values
from pybernetes.component.subcommands import Group, Subcommand

from . import clusterflags, deployflags, kubeadmflags

if TYPE_CHECKING:
    from pybernetes.cluster.assembly.joinphases import Join, Phase
    from pybernetes.deploy.joinconfiguration import JoinConfiguration

PROGRAM = "pybernetes join"
FLAGS = (
    deployflags.ADVERTISE_ADDRESS,
    deployflags.BIND_PORT,
    clusterflags.CERTIFICATE_KEY,
    deployflags.CONFIG,
    Flag("control-plane", flags.boolean, False, "Create a new control plane instance on this node."),
    Flag(
        "discovery-file", flags.string, "", "For file-based discovery, a file from which to load cluster information."
    ),
    Flag(
        "discovery-token",
        flags.string,
        "",
        "For token-based discovery, the token used to validate cluster information.",
    ),
    Flag(
        "discovery-token-ca-cert-hash",
        flags.strings,
        [],
        "The root CA public key matches this hash (sha256:HEX); may be repeated.",
    ),
    Flag(
        "discovery-token-unsafe-skip-ca-verification",
        flags.boolean,
        False,
        "Allow joining without --discovery-token-ca-cert-hash pinning.",
    ),
    clusterflags.IGNORED_CHECKS,
    deployflags.NODE_NAME,
    clusterflags.SKIPPED,
    Flag(
        "tls-bootstrap-token",
        flags.string,
        "",
        "The token used to temporarily authenticate with the control plane while joining the node.",
    ),
    Flag(
        "token",
        flags.string,
        "",
        "Use this token for both discovery-token and tls-bootstrap-token when those values are not provided.",
    ),
    Flag("ca-hash", flags.strings, [], "The same as --discovery-token-ca-cert-hash.", clusterflags.OURS),
    clusterflags.RUN_WITH,
    clusterflags.STATIC_PODS,
    kubeadmflags.CRI_SOCKET,
    *kubeadmflags.COMMON,
)
OF_FILE = (
    *(
        "control-plane",
        "discovery-file",
        "discovery-token",
        "discovery-token-ca-cert-hash",
        "ca-hash",
        "tls-bootstrap-token",
        "token",
    ),
    *("discovery-token-unsafe-skip-ca-verification", "node-name"),
)
WORDS = "[ADDRESS:PORT | TOKEN@ADDRESS:PORT]"


def main(arguments: list[str]) -> int:
    """Exit code 1 where the host cannot join; a second run goes on."""
    if arguments[:1] == ["phase"]:
        return subcommands.main(f"{PROGRAM} phase", _groups(), arguments[1:])
    return command.once(PROGRAM, FLAGS, run, arguments, words=True)


def run(values: Values) -> None:
    """All of it. UsageError, Failure."""
    from pybernetes.cluster.assembly import hoststate
    from pybernetes.cluster.assembly.joinphases import PHASES, in_order

    clusterflags.known(values["skip-phases"], [phase.name for phase in PHASES])
    work = _work(values)
    skipped = [*values["skip-phases"], *work.join.skip_phases]
    for phase in in_order(work.state.static_pods):
        if phase.control_plane and not work.control_plane:
            continue
        if not clusterflags.skipped(phase.name, skipped):
            _do(work, phase)
        if phase.name == "preflight":
            work.learn()
            hoststate.save(work.state)
    work.state.complete = True
    hoststate.save(work.state)
    print(_farewell(work))


def _groups() -> Group:
    from pybernetes.cluster.assembly.joinphases import PHASES

    commands: dict[str, Group | Subcommand] = {}
    grouped: dict[str, dict[str, Group | Subcommand]] = {}
    members: dict[str, list[Phase]] = {}
    for phase in PHASES:
        group, _, name = phase.name.partition("/")
        one = Subcommand(phase.summary, FLAGS, _alone([phase]), WORDS)
        if not name:
            commands[group] = one
            continue
        members.setdefault(group, []).append(phase)
        grouped.setdefault(group, {})[name] = one
        every = Subcommand(f"All phases of {group}", FLAGS, _alone(members[group]), WORDS)
        commands[group] = Group(f"The phases of {group}.", {"all": every, **grouped[group]})
    return Group("One phase of join; each may be run again.", commands)


def _alone(phases: Sequence[Phase]) -> Callable[[Values], None]:
    def run(values: Values) -> None:
        work = _work(values)
        for phase in phases:
            if phase.name != "preflight":
                work.learn()
            _do(work, phase)

    return run


def _do(work: Join, phase: Phase) -> None:
    from pybernetes.client.kubeconfig import ConfigError
    from pybernetes.cluster.assembly.runner import RunError
    from pybernetes.deploy.phases import PhaseError

    try:
        phase.run(work)
    except (Failure, PhaseError, RunError, ConfigError) as error:
        raise Failure(f"error execution phase {phase.name}: {error}") from error
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        raise Failure(f"error execution phase {phase.name}: {where}{error.strerror or error}") from error


def _work(values: Values) -> Join:
    from pybernetes.cluster.assembly import facts, hoststate, work
    from pybernetes.cluster.assembly.joinphases import Join
    from pybernetes.cluster.assembly.runner import runner
    from pybernetes.deploy import joinconfiguration, layout, types
    from pybernetes.deploy.configuration import Configuration, ConfigurationError
    from pybernetes.net.addresses import source_address

    if len(values.arguments) > 1:
        raise FlagError(f"accepts at most 1 arg(s), received {len(values.arguments)} (see {PROGRAM} --help)")
    given = _given(values)
    by_token = given.discovery.bootstrap_token
    target = by_token.api_server_endpoint.rpartition(":")[0].strip("[]") if by_token is not None else ""
    address = (source_address(target) if target else "") or facts.address()
    join = joinconfiguration.defaulted(given, facts.node_name(), address)
    try:
        joinconfiguration.check(join)
    except ConfigurationError as error:
        raise UsageError(f"--config={values['config']}: {error}" if values["config"] else str(error)) from error
    control = join.control_plane
    address = control.local_api_endpoint.advertise_address if control is not None else address
    name = join.node_registration.name
    state = clusterflags.state(hoststate.JOIN, values, name, address, control is not None)
    if state.static_pods and control is None:
        raise UsageError("--static-pods: a worker has no control plane; --control-plane is missing")
    join_work = Join(
        Configuration(types.InitConfiguration(), types.ClusterConfiguration()),
        layout.FOREIGN,
        work.this_host(name, address, facts.interface_of(address), control is not None),
        runner(state.run_with),
        state,
        lambda line: print(line, flush=True),
        join=join,
        ignored_checks=[*values["ignore-preflight-errors"], *join.node_registration.ignore_preflight_errors],
    )
    join_work.choose_runner()
    return join_work


def _given(values: Values) -> JoinConfiguration:
    """Of --config, or of the other flags. UsageError."""
    from pybernetes.deploy import joinconfiguration
    from pybernetes.deploy.configuration import ConfigurationError

    deployflags.unmixed(values, OF_FILE)
    if not values["config"]:
        return _of_flags(values)
    if values.arguments:
        raise UsageError(f"can not mix '--config' with arguments [{values.arguments[0].rpartition('@')[2]}]")
    try:
        return joinconfiguration.parse(deployflags.config_text(values["config"]))
    except ConfigurationError as error:
        raise UsageError(f"--config={values['config']}: {error}") from error


def _of_flags(values: Values) -> JoinConfiguration:
    from pybernetes.deploy import types
    from pybernetes.deploy.joinconfiguration import (
        BootstrapTokenDiscovery,
        Discovery,
        FileDiscovery,
        JoinConfiguration,
        JoinControlPlane,
    )

    short, _, address = (values.arguments[0] if values.arguments else "").rpartition("@")
    token = values["discovery-token"] or values["token"] or short
    pins = [*values["discovery-token-ca-cert-hash"], *values["ca-hash"]]
    by_token = None
    if address or (token and not values["discovery-file"]):
        skip = values["discovery-token-unsafe-skip-ca-verification"]
        by_token = BootstrapTokenDiscovery(
            token=token, api_server_endpoint=address, ca_cert_hashes=pins, unsafe_skip_ca_verification=skip
        )
    discovery = Discovery(
        bootstrap_token=by_token,
        file=FileDiscovery(kube_config_path=values["discovery-file"]) if values["discovery-file"] else None,
        tls_bootstrap_token=values["tls-bootstrap-token"] or values["token"] or short,
    )
    endpoint = types.APIEndpoint(
        advertise_address=values["apiserver-advertise-address"], bind_port=values["apiserver-bind-port"]
    )
    control = JoinControlPlane(local_api_endpoint=endpoint, certificate_key=values["certificate-key"])
    return JoinConfiguration(
        discovery=discovery,
        control_plane=control if values["control-plane"] else None,
        node_registration=types.NodeRegistration(name=values["node-name"], cri_socket=values["cri-socket"]),
    )


def _farewell(work: Join) -> str:
    if not work.control_plane:
        return "\nThis node has joined the cluster. Run 'kubectl get nodes' on the control-plane to see this node join the cluster."
    return (
        "\nThis node has joined the cluster and a new control plane instance was created."
        "\nTo administer it from this node: export KUBECONFIG=/etc/kubernetes/admin.conf"
    )
