"""What is to be done, from what hosts are and what they are to be; pure. Nothing to do: no stage.

A plan is made again after each of its stages, from what hosts say then, so only its first stage is ever carried out as it stands; the
others tell people what will come.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pybernetes.api.version import KUBERNETES

from .. import upgradeplan
from ..daemons.etcd import EXISTING, NEW, etcd
from ..daemons.model import ETCD, MASTER, WORKER, Cluster, Daemon, Host
from ..daemons.node import KUBELET
from ..endpoints import url
from . import initfile
from .actions import (
    INIT_FILE,
    Action,
    Backup,
    Bring,
    Disable,
    Drain,
    Enable,
    Initialise,
    Install,
    Join,
    Label,
    Pack,
    Renew,
    Upload,
)
from .facts import Facts, Node
from .wanted import NGINX, WATCHER, Wanted, differing, files

DOCKER, UNIT_OF_DOCKER = "dockerd", "docker"
BACKUP = f"/var/lib/pybernetes/backups/before-v{KUBERNETES}.tar.gz"  # one for each version that a cluster goes to
DUE, CHANGES = "what has to be started, host by host", "changes, host by host"
AT_ONCE = 10  # hosts that are prepared, and workers that join, at the same time


class PlanError(Exception):
    """A host that cannot be what it is to be; says what to do."""


@dataclass(frozen=True, slots=True)
class Step:
    """What one host goes through, in this order."""

    host: Host
    actions: tuple[Action, ...]


@dataclass(frozen=True, slots=True)
class Stage:
    """Steps of hosts, `width` of them at once; the next stage begins when all are done."""

    title: str
    steps: tuple[Step, ...]
    width: int = 1


@dataclass(frozen=True, slots=True)
class Situation:
    """All that a plan is made of. `facts` of the hosts that answered; `labels`, `taints` by host; `digest` and `python` are of what is to be
    brought, "" where the hosts have `program` already."""

    cluster: Cluster
    aims: Mapping[str, Wanted]
    facts: Mapping[str, Facts]
    labels: Mapping[str, Mapping[str, str]]
    taints: Mapping[str, initfile.Taints]
    init_file: str
    program: str = "pybernetes"
    digest: str = ""
    python: str = ""
    machine: str = ""
    limit: frozenset[str] = frozenset()  # names of hosts; empty: all

    def hosts(self) -> list[Host]:
        """Those to be looked after."""
        return [host for host in self.cluster.hosts if not self.limit or host.name in self.limit]


def plan(situation: Situation) -> list[Stage]:
    """The stages that lead from here to there. PlanError."""
    _check(situation)
    _check_fixed(situation)
    _check_version(situation)
    stages = [
        Stage("a backup of the version before", tuple(_backup(situation))),
        Stage("prepare the hosts", tuple(_preparations(situation)), AT_ONCE),
        Stage("the first master", tuple(_first(situation))),
        Stage(DUE, tuple(_due(situation))),
        Stage("further masters, one by one", tuple(_joining(situation, MASTER))),
        Stage("workers", tuple(_joining(situation, WORKER)), AT_ONCE),
        Stage(CHANGES, tuple(_changes(situation))),
        Stage("the cluster's memory", tuple(_memory(situation))),
        Stage("labels of nodes", tuple(_labels(situation))),
    ]
    stages = [stage for stage in stages if stage.steps]
    if stages and stages[0].title in (DUE, CHANGES):
        _check_majority(situation, stages[0])
    return stages


def version_before(situation: Situation) -> str:
    """What the cluster is told to be, where that is another version than it is to become; "": no upgrade."""
    told = _told(situation)
    if told is None:
        return ""
    try:
        before = initfile.version(_facts(situation, told).files[INIT_FILE].text)
        return before if before != initfile.version(situation.init_file) else ""
    except ValueError as error:
        raise PlanError(f"{told.name}: {INIT_FILE} cannot be read: {error}") from error


def _check_version(situation: Situation) -> None:
    """PlanError for an upgrade beyond upstream's policy."""
    before = version_before(situation)
    if not before:
        return
    kubelets = {name: node.version for name, node in nodes(situation).items()}
    try:
        target = upgradeplan.parse(initfile.version(situation.init_file))
        running = upgradeplan.Running(before, {}, kubelets)
        problems = upgradeplan.objections(running, target, upgradeplan.parse(KUBERNETES)).left(False)
    except upgradeplan.VersionError as error:
        raise PlanError(f"kubernetesVersion: {error}") from error
    if problems:
        raise PlanError("; ".join(problems))


def leader(situation: Situation) -> Host | None:
    """The master that is asked about the cluster: the first that has joined and answers, else the first that has joined; None: there is no
    cluster yet."""
    joined = [host for host in situation.cluster.having(MASTER) if _facts(situation, host).joined]
    answering = [host for host in joined if _facts(situation, host).nodes is not None]
    return next(iter(answering or joined), None)


def nodes(situation: Situation) -> Mapping[str, Node]:
    """Of the API, where it answers."""
    return next((facts.nodes for facts in situation.facts.values() if facts.nodes is not None), {})


def _check(situation: Situation) -> None:
    """PlanError where a limit leaves out what has to come first, or a host cannot run what would be brought."""
    if leader(situation) is None:
        first = situation.cluster.having(MASTER)[0]
        if first not in situation.hosts():
            raise PlanError(
                f"there is no cluster yet: its first master, {first.name}, has to be among those of --limit"
            )
        away = [host.name for host in situation.cluster.having(MASTER) if host.name not in situation.facts]
        if away:
            text = "whether they are masters of a cluster already cannot be seen: no second one is begun beside them"
            raise PlanError(f"{', '.join(away)}: no answer, and no other master has joined; {text}")
    for host in situation.hosts():
        _check_identity(host, _facts(situation, host))
        facts = situation.facts.get(host.name)
        if facts is None or not situation.digest or facts.brought == situation.digest:
            continue
        if facts.machine and facts.machine != situation.machine:
            text = f"it is {facts.machine}, this installation of pybernetes {situation.machine}"
            raise PlanError(f"{host.name}: {text}: install pybernetes there and name its path in `program`")
        if facts.python and facts.python != situation.python:
            text = f"its python3 is {facts.python}, this installation's {situation.python}"
            raise PlanError(
                f"{host.name}: {text}: deploy from a host with the same, or install pybernetes there and name its path in `program`"
            )


def _check_identity(host: Host, facts: Facts) -> None:
    """PlanError where the host has become something else than the file says."""
    if facts.node_name and facts.node_name != host.name:
        text = f"it has joined as node {facts.node_name}: is it another host, or has the file another name for it?"
        raise PlanError(f"{host.name}: {text} `pybernetes reset` on it has it join anew")
    if facts.node_name and facts.control_plane != (MASTER in host.roles):
        present, aim = ("master", "worker") if facts.control_plane else ("worker", "master")
        raise PlanError(f"{host.name}: it has joined as a {present}: to make it a {aim}, `pybernetes reset` it first")


def _check_fixed(situation: Situation) -> None:
    """PlanError for a setting with which the cluster was made, and which is in certificates, kubeconfigs and objects since then."""
    told = _told(situation)
    if told is None:
        return
    try:
        changed = initfile.fixed_changes(_facts(situation, told).files[INIT_FILE].text, situation.init_file)
    except ValueError as error:
        raise PlanError(f"{told.name}: {INIT_FILE} cannot be read: {error}") from error
    if changed:
        name, before, after = changed[0]
        text = f"{name}: the cluster was made with {before}, the file says {after}: that is not changed by deploy"
        raise PlanError(f"{text}, since certificates, kubeconfigs and objects have it; write {before} again")


def _told(situation: Situation) -> Host | None:
    """A master that has the file by which the cluster was made, or was told last."""
    joined = [host for host in situation.cluster.having(MASTER) if _facts(situation, host).joined]
    return next((host for host in joined if INIT_FILE in _facts(situation, host).files), None)


def notes(situation: Situation) -> list[str]:
    """What nobody is to overlook, and deploy does nothing about."""
    names = {host.name for host in situation.cluster.hosts}
    present = nodes(situation)
    lines = [
        f"{name} is a node of the cluster, and not in the file: to remove it, `pybernetes reset` on it and `kubectl delete node {name}`"
        for name in sorted(set(present) - names)
    ]
    for host in situation.cluster.hosts:
        if present and _facts(situation, host).joined and host.name not in present:
            lines.append(
                f"{host.name} has joined a cluster that has no such node: another one, or the node was deleted"
            )
    lines += [f"{name} is not Ready" for name in unready(situation)]
    lines += [
        f"{name} takes no new pods: `pybernetes node uncordon {name}` on a master, if nobody wants that any more"
        for name, node in present.items()
        if node.cordoned
    ]
    return lines


def unready(situation: Situation) -> list[str]:
    """The nodes among the hosts that have joined and are not Ready."""
    present = nodes(situation)
    names = [host.name for host in situation.hosts() if _facts(situation, host).joined]
    return [name for name in names if name in present and not present[name].ready]


def _check_majority(situation: Situation, stage: Stage) -> None:
    """PlanError where the new start of a member of etcd would leave the others without a majority."""
    members = [
        host
        for host in situation.cluster.having(ETCD)
        if _facts(situation, host).joined or host.name not in situation.facts
    ]
    well = {host.name for host in members if ETCD in _facts(situation, host).active}
    for step in stage.steps:
        restarts = any(isinstance(action, Renew) and action.daemon.name == ETCD for action in step.actions)
        others = len(well - {step.host.name})
        if restarts and step.host.name in well and len(members) > 2 and others * 2 <= len(members):
            away = ", ".join(host.name for host in members if host.name not in well)
            text = f"etcd does not run on {away}: with {step.host.name}'s started anew, {others} of {len(members)} members would be no majority"
            raise PlanError(f"{text}: bring {away} back first (--limit={away})")


def _backup(situation: Situation) -> list[Step]:
    master = leader(situation)
    if master is None or not version_before(situation) or BACKUP in _facts(situation, master).programs:
        return []
    return [Step(master, (Backup(BACKUP, situation.program),))] if master in situation.hosts() else []


def _preparations(situation: Situation) -> list[Step]:
    steps = []
    for host in _answering(situation):
        facts, aim = situation.facts[host.name], situation.aims[host.name]
        actions: list[Action] = []
        missing = {package for program, package in aim.needs.items() if program not in facts.programs}
        if missing:
            actions.append(Install(tuple(sorted(missing))))
        if situation.digest and facts.brought != situation.digest:
            actions.append(Bring(situation.digest, _stale(situation, host)))
        if DOCKER in aim.needs and UNIT_OF_DOCKER not in facts.active:
            actions.append(Enable(UNIT_OF_DOCKER))
        if aim.frees_ports and (NGINX in facts.active or aim.needs.get(NGINX) in missing):
            actions.append(Disable(NGINX))
        if facts.joined:  # init and join do so for others
            brought = any(isinstance(action, Bring) for action in actions)
            stale = tuple(name for name, path in aim.images.items() if brought or path not in facts.programs)
            actions += [Pack(stale, situation.program)] if stale else []
        if not facts.joined:
            actions += _renewals([daemon for daemon in aim.own if daemon.name not in facts.active], facts, ())
        steps.append(Step(host, tuple(actions)))
    return [step for step in steps if step.actions]


def _stale(situation: Situation, host: Host) -> tuple[str, ...]:
    """The daemons that would go on with an older pybernetes than the host is brought."""
    facts = situation.facts[host.name]
    if not situation.digest or facts.brought == situation.digest or not facts.joined:
        return ()
    return tuple(daemon.name for daemon in situation.aims[host.name].daemons if daemon.ours)


def _first(situation: Situation) -> list[Step]:
    if leader(situation) is not None:
        return []
    host = situation.cluster.having(MASTER)[0]
    daemons = _beginning(situation, host, (host,), NEW)
    return [Step(host, (Initialise(situation.init_file, daemons, situation.program),))]


def _joining(situation: Situation, role: str) -> list[Step]:
    """Hosts of the role that have not joined; a master that is a worker too joins as a master."""
    cluster = situation.cluster
    asked = leader(situation) or cluster.having(MASTER)[0]
    members = [host for host in cluster.having(ETCD) if host == asked or _facts(situation, host).joined]
    steps = []
    for host in _answering(situation):
        of_role = role in host.roles and (role == MASTER or MASTER not in host.roles)
        if not of_role or situation.facts[host.name].joined or (host == asked and leader(situation) is None):
            continue
        if ETCD in host.roles:
            members.append(host)
        shown = initfile.join(cluster, host, asked, initfile.HIDDEN, situation.taints.get(host.name))
        daemons = _beginning(situation, host, members, EXISTING)
        steps.append(Step(host, (Join(role == MASTER, shown, daemons, situation.program),)))
    return steps


def _beginning(situation: Situation, host: Host, members: Sequence[Host], state: str) -> tuple[Daemon, ...]:
    """The daemons of a host as it joins: etcd is told which members there are then."""
    daemons = situation.aims[host.name].daemons
    return tuple(
        etcd(situation.cluster, host, tuple(members), state) if daemon.name == ETCD else daemon for daemon in daemons
    )


def _due(situation: Situation) -> list[Step]:
    """What is down on hosts that have joined, or was to be started anew when somebody was cut off: before anybody joins them."""
    return _stepwise(situation, True)


def _changes(situation: Situation) -> list[Step]:
    """Of what runs already."""
    return _stepwise(situation, False)


def _stepwise(situation: Situation, due: bool) -> list[Step]:
    """New starts: of masters before those of workers, as upstream's rule of versions has it."""
    steps = []
    for host in sorted(_answering(situation), key=lambda host: MASTER not in host.roles):
        facts, aim = situation.facts[host.name], situation.aims[host.name]
        if facts.joined:
            actions = _renewals((*aim.own, *aim.daemons), facts, _stale(situation, host))
        else:  # what else it is to run comes with joining
            actions = _renewals([daemon for daemon in aim.own if daemon.name in facts.active], facts, ())
        chosen = [action for action in actions if due == _is_due(action.daemon, facts)]
        if chosen:
            steps += _drained(situation, Step(host, tuple(chosen)))
    return steps


def _drained(situation: Situation, step: Step) -> list[Step]:
    """A worker whose kubelet becomes one of another minor version has no pods then; one that takes none already is left as it is."""
    node, master = nodes(situation).get(step.host.name), leader(situation)
    restarts = any(isinstance(action, Renew) and action.daemon.name == KUBELET for action in step.actions)
    if node is None or master is None or node.cordoned or MASTER in step.host.roles or not restarts:
        return [step]
    try:
        same = upgradeplan.parse(node.version).series == upgradeplan.parse(KUBERNETES).series
    except upgradeplan.VersionError:
        return [step]  # a node whose kubelet has not said yet what it is has no pods
    if same:
        return [step]
    name, program = step.host.name, situation.program
    return [
        Step(master, (Drain(name, program=program),)),
        step,
        Step(master, (Drain(name, back=True, program=program),)),
    ]


def _is_due(daemon: Daemon, facts: Facts) -> bool:
    return daemon.name not in facts.active or daemon.name in facts.pending


def _renewals(daemons: Sequence[Daemon], facts: Facts, again: Sequence[str]) -> list[Renew]:
    watched = any(daemon.name == WATCHER for daemon in daemons)
    actions = []
    for daemon in daemons:
        changed = differing(daemon, facts.files, watched)
        due = _is_due(daemon, facts)
        if not (changed or due or daemon.name in again):
            continue
        units = {file.path for file in files(daemon)} - {file.path for file in daemon.files}
        reload = bool(daemon.reload and changed) and not (due or units & {file.path for file in changed})
        before = tuple((file.path, facts.files[file.path].text) for file in changed if file.path in facts.files)
        actions.append(Renew(daemon, changed, before, reload))
    return actions


def _memory(situation: Situation) -> list[Step]:
    """The configuration lies on the master that is asked, as the cluster was told it."""
    master = leader(situation)
    if master is None or master not in situation.hosts():
        return []
    present = _facts(situation, master).files.get(INIT_FILE)
    told = present.text if present is not None else ""
    if told == situation.init_file:
        return []
    version = initfile.version(situation.init_file) if version_before(situation) else ""
    others = bool(told) and not initfile.same_addons(told, situation.init_file)
    return [Step(master, (Upload(situation.init_file, situation.program, version, others),))]


def _labels(situation: Situation) -> list[Step]:
    """Labels that a node lacks; whoever joins in this plan gets them afterwards."""
    present, master = nodes(situation), leader(situation) or situation.cluster.having(MASTER)[0]
    configuration = situation.cluster.configuration
    server = url(master.address, configuration.init.local_api_endpoint.bind_port)
    steps = []
    for host in situation.hosts():
        node = present.get(host.name, Node(False))
        missing = {
            key: value for key, value in situation.labels.get(host.name, {}).items() if node.labels.get(key) != value
        }
        if missing and (host.name in present or not _facts(situation, host).joined):
            label = Label(host.name, tuple(sorted(missing.items())), configuration.cluster.certificates_dir, server)
            steps.append(Step(master, (label,)))
    return steps


def _answering(situation: Situation) -> list[Host]:
    return [host for host in situation.hosts() if host.name in situation.facts]


def _facts(situation: Situation, host: Host) -> Facts:
    return situation.facts.get(host.name, Facts())
