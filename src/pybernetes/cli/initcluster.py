"""`pybernetes init`: the first host of a cluster, all phases one after the other or each alone (upstream: cmd/kubeadm/app/cmd/init.go)."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import msgspec

from pybernetes.component import flags
from pybernetes.component.command import Failure, UsageError
from pybernetes.component.flags import Flag, Values
from pybernetes.component.subcommands import Group, Subcommand

from . import clusterflags, deployflags, kubeadmflags

if TYPE_CHECKING:
    from pybernetes.cluster.assembly.initphases import Init, Phase
    from pybernetes.deploy.configuration import Configuration
    from pybernetes.deploy.layout import ClusterLayout

KUBERNETES_VERSION = Flag(
    "kubernetes-version", flags.string, "", "This release's own, or a label that means it, such as stable-1."
)
FLAGS = (
    deployflags.ADVERTISE_ADDRESS,
    deployflags.BIND_PORT,
    deployflags.EXTRA_SANS,
    deployflags.CERT_DIR,
    clusterflags.CERTIFICATE_KEY,
    deployflags.CONFIG,
    deployflags.ENDPOINT,
    clusterflags.IGNORED_CHECKS,
    deployflags.NODE_NAME,
    clusterflags.POD_CIDR,
    deployflags.SERVICE_CIDR,
    deployflags.DOMAIN,
    Flag(
        "skip-certificate-key-print",
        flags.boolean,
        False,
        "Don't print the key used to encrypt the control-plane certificates.",
    ),
    clusterflags.SKIPPED,
    Flag("skip-token-print", flags.boolean, False, "Skip printing of the default bootstrap token."),
    Flag("token", flags.string, "", "The token to use for establishing trust between nodes and control-plane nodes."),
    Flag("token-ttl", flags.duration, 86400.0, "The duration before the token is automatically deleted; 0: never."),
    Flag("upload-certs", flags.boolean, False, "Upload control-plane certificates to the kubeadm-certs Secret."),
    KUBERNETES_VERSION,
    clusterflags.BALANCER,
    clusterflags.ON_NODES,
    clusterflags.ROUTER_ID,
    clusterflags.BACKEND,
    *clusterflags.ADD_ONS,
    clusterflags.RUN_WITH,
    clusterflags.STATIC_PODS,
    kubeadmflags.CRI_SOCKET,
    kubeadmflags.FEATURE_GATES,
    kubeadmflags.IMAGE_REPOSITORY,
    *kubeadmflags.COMMON,
)
# What a ClusterLayout says.
OURS_OF_FILE = (
    *("balancer", "balancer-on-nodes", "virtual-router-id", "pod-network"),
    *(flag.name for flag in clusterflags.ADD_ONS),
)
ALL = "all"


def groups() -> dict[str, Group | Subcommand]:
    """The phases as commands, but for those that touch files alone (`cli/init.py`)."""
    from pybernetes.cluster.assembly.initphases import grouped

    commands: dict[str, Group | Subcommand] = {}
    for name, phases in grouped().items():
        if phases[0].name == name:
            commands[name] = Subcommand(phases[0].summary, FLAGS, _alone(phases))
            continue
        each = {phase.name.partition("/")[2]: Subcommand(phase.summary, FLAGS, _alone([phase])) for phase in phases}
        commands[name] = Group(
            f"The phases of {name}.", {ALL: Subcommand(f"All phases of {name}", FLAGS, _alone(phases)), **each}
        )
    return commands


def run(values: Values) -> None:
    """All of it. UsageError, Failure."""
    from pybernetes.cluster.assembly import hoststate
    from pybernetes.cluster.assembly.initphases import PHASES

    clusterflags.known(values["skip-phases"], [phase.name for phase in PHASES])
    work = _work(values)
    skipped = [*values["skip-phases"], *work.configuration.init.skip_phases]
    print(f"[init] Using Kubernetes version: {work.configuration.cluster.kubernetes_version}", flush=True)
    for phase in PHASES:
        if not clusterflags.skipped(phase.name, skipped):
            _do(work, phase)
        if phase.name == "preflight":
            hoststate.save(work.state)
    work.state.complete = True
    hoststate.save(work.state)
    print(_farewell(work, values))


def _of_this_release(asked: str) -> None:
    """UsageError where a cluster of another version is asked for: nobody would notice before the first upgrade."""
    from pybernetes.api.version import KUBERNETES
    from pybernetes.deploy.configuration import is_own_version

    if not is_own_version(asked):
        text = f"kubernetesVersion {asked}: this release makes clusters of v{KUBERNETES}: leave it out"
        raise UsageError(f"{text}, or install the release of pybernetes that has that version")


def _alone(phases: Sequence[Phase]) -> Callable[[Values], None]:
    def run(values: Values) -> None:
        work = _work(values)
        for phase in phases:
            _do(work, phase)
        if phases[0].name == "upload-certs" and work.upload_certs and not values["skip-certificate-key-print"]:
            print(f"[upload-certs] Using certificate key:\n{work.certificate_key}")

    return run


def _do(work: Init, phase: Phase) -> None:
    from pybernetes.cluster.assembly.runner import RunError
    from pybernetes.deploy.phases import PhaseError

    try:
        phase.run(work)
    except (Failure, PhaseError, RunError) as error:
        raise Failure(f"error execution phase {phase.name}: {error}") from error
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        raise Failure(f"error execution phase {phase.name}: {where}{error.strerror or error}") from error


def _work(values: Values) -> Init:
    from pybernetes.cluster.assembly import facts, hoststate, work
    from pybernetes.cluster.assembly.initphases import Init, with_token
    from pybernetes.cluster.assembly.runner import runner
    from pybernetes.deploy import tokens
    from pybernetes.deploy.configuration import KUBELET, PROXY, Configuration, ConfigurationError, document

    deployflags.unmixed(values, ("token", "token-ttl", "pod-network-cidr"))
    text = deployflags.config_text(values["config"])
    configuration = _with_token_flags(deployflags.configuration(values), values)
    layout = _layout(values, text)
    try:
        init = with_token(configuration.init, tokens.generate(secrets.choice))
        init = msgspec.structs.replace(init, certificate_key=values["certificate-key"] or init.certificate_key)
        configuration = _judged(Configuration(init, configuration.cluster), layout, values)
        documents = {one[1]: given for one in (KUBELET, PROXY) if (given := document(text, one) if text else None)}
    except ConfigurationError as error:
        raise UsageError(f"--config={values['config']}: {error}" if values["config"] else str(error)) from error
    if init.dry_run or init.patches is not None:
        raise UsageError("dryRun and patches of InitConfiguration are not there: take them out of the file")
    name, address = init.node_registration.name, init.local_api_endpoint.advertise_address
    state = clusterflags.state(hoststate.INIT, values, name, address, True)
    if not state.complete:
        _of_this_release(configuration.cluster.kubernetes_version)
    init_work = Init(
        configuration,
        layout,
        work.this_host(name, address, facts.interface_of(address), True),
        runner(state.run_with),
        state,
        lambda line: print(line, flush=True),
        documents,
        upload_certs=values["upload-certs"],
        certificate_key=init.certificate_key,
        ignored_checks=[*values["ignore-preflight-errors"], *init.node_registration.ignore_preflight_errors],
    )
    init_work.choose_runner()
    return init_work


def _with_token_flags(configuration: Configuration, values: Values) -> Configuration:
    from pybernetes.api.durations import format_duration
    from pybernetes.deploy import types
    from pybernetes.deploy.configuration import Configuration, token_defaults

    if not values.given & {"token", "token-ttl"}:
        return configuration
    token = types.BootstrapToken(token=values["token"], ttl=format_duration(values["token-ttl"]))
    init = msgspec.structs.replace(configuration.init, bootstrap_tokens=[token_defaults(token)])
    return Configuration(init, configuration.cluster)


def _layout(values: Values, text: str) -> ClusterLayout:
    from pybernetes.deploy import layout
    from pybernetes.deploy.configuration import ConfigurationError
    from pybernetes.deploy.daemons.model import AddOns

    try:
        parsed = layout.parse(text) if text else None
    except ConfigurationError as error:
        raise UsageError(f"--config={values['config']}: {error}") from error
    if parsed is None:
        balancer = layout.BalancerLayout(
            kind=values["balancer"], router_id=values["virtual-router-id"], on_nodes=values["balancer-on-nodes"]
        )
        chosen = AddOns(**{flag.name.replace("-", "_"): values[flag.name] for flag in clusterflags.ADD_ONS})
        network = layout.NetworkLayout(backend=values["pod-network"])
        return layout.ClusterLayout(balancer=balancer, network=network, addons=chosen)
    mixed = sorted(values.given & set(OURS_OF_FILE))
    if mixed:
        raise UsageError(f"can not mix a {layout.KIND} in '--config' with arguments [{' '.join(mixed)}]")
    return parsed


def _judged(configuration: Configuration, layout: ClusterLayout, values: Values) -> Configuration:
    """With the pods' range that a network of ours needs. ConfigurationError."""
    from pybernetes.deploy import layout as layouts
    from pybernetes.deploy import validation
    from pybernetes.deploy.configuration import Configuration

    cluster = configuration.cluster
    networking = cluster.networking
    default = layouts.POD_SUBNET if layout.network.backend != layouts.NONE else ""
    pods = values["pod-network-cidr"] or networking.pod_subnet or default
    cluster = msgspec.structs.replace(cluster, networking=msgspec.structs.replace(networking, pod_subnet=pods))
    judged = Configuration(configuration.init, cluster)
    validation.check(judged)
    layouts.check(layout, cluster, configuration.init.local_api_endpoint.bind_port)
    return judged


def _farewell(work: Init, values: Values) -> str:
    """What there is now, and what other hosts are told to run."""
    from pybernetes.deploy import endpoints, phases, pkifiles, tokens
    from pybernetes.pki.certificates import public_key_pin

    pin = public_key_pin(pkifiles.read_certificate(phases.folder(work.configuration), "ca"))
    server = endpoints.control_plane(work.configuration)
    if endpoints.is_loopback(server):  # who joins has no balancer yet
        server = endpoints.local(work.configuration)
    token = "<value withheld>" if values["skip-token-print"] else work.token

    def command(key: str = "") -> str:
        return tokens.join_command(server, token, [pin], key)

    lines = [
        "",
        "Your Kubernetes control-plane has initialized successfully!",
        "",
        "To start using your cluster: export KUBECONFIG=/etc/kubernetes/admin.conf",
    ]
    if work.configuration.cluster.control_plane_endpoint and work.upload_certs:
        key = "<value withheld>" if values["skip-certificate-key-print"] else work.certificate_key
        lines += ["", "Further control-plane nodes join by running on each, within two hours:", "", f"  {command(key)}"]
        lines += [
            "",
            "The key gives access to all of the cluster: keep it secret. Afterwards `pybernetes init phase upload-certs --upload-certs`",
        ]
        lines += ["on this host uploads the certificates again."]
    lines += ["", "Worker nodes join by running on each as root:", "", f"  {command()}"]
    return "\n".join(lines)
