"""`pybernetes etcd`: the members of a cluster's etcd, their health, snapshots, space and alarms (upstream: etcdctl, etcdutl)."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pybernetes.component import flags, subcommands
from pybernetes.component.command import Failure, UsageError
from pybernetes.component.flags import Flag, Values
from pybernetes.component.subcommands import Group, Subcommand

from . import deployflags, etcdflags

if TYPE_CHECKING:
    from pybernetes.deploy.etcd import snapshots
    from pybernetes.deploy.etcd.asking import Asked
    from pybernetes.store.backends import Location

T = TypeVar("T")

PROGRAM = "pybernetes etcd"
OUTPUT = Flag("output", flags.string, "table", "Output format. One of: table|json.", short="o")
RESTORE = (
    deployflags.CERT_DIR,
    deployflags.CONFIG,
    deployflags.NODE_NAME,
    deployflags.ADVERTISE_ADDRESS,
    Flag("data-dir", flags.string, "", "Where the member's data go; default: that of the configuration, /var/lib/etcd."),
    Flag("name", flags.string, "", "The member's name; default: the node's."),
    Flag("initial-advertise-peer-urls", flags.string, "", "Where the other members find this one; default: port 2380 of this host."),
    Flag(
        "initial-cluster",
        flags.string,
        "",
        "NAME=URL of all members that are restored from this snapshot; default: this one alone, which others join.",
    ),
    Flag("initial-cluster-token", flags.string, "etcd-cluster", "Tells this cluster from others on the network."),
)  # fmt: skip


def main(arguments: list[str]) -> int:
    return subcommands.main(PROGRAM, COMMANDS, arguments)


def members(values: Values) -> None:
    """A table as etcdctl's, sorted by name."""
    from pybernetes.deploy.etcd import asking
    from pybernetes.deploy.tables import table

    listed = etcdflags.run(asking.members(etcdflags.location(values)))
    if _is_json(values):
        _print([_member(member) for member in listed])
        return
    rows = [("ID", "STATUS", "NAME", "PEER ADDRS", "CLIENT ADDRS", "IS LEARNER")]
    for one in listed:
        started = "started" if one.started else "unstarted"
        peers, clients = ",".join(one.peer_urls), ",".join(one.client_urls)
        rows.append((one.hex, started, one.name, peers, clients, str(one.learner).lower()))
    print(table(rows), end="")


def health(values: Values) -> int:
    """Each member, then what is wrong; 1 where something is."""
    from pybernetes.deploy.etcd import asking
    from pybernetes.deploy.etcd.health import findings

    asked = etcdflags.run(asking.everything(etcdflags.location(values), "endpoints" in values.given))
    wrong = findings(asked.members, asked.answers, asked.alarms)
    if _is_json(values):
        _print({"members": _answers(asked), "findings": wrong})
    else:
        print(health_table(asked), end="")
        for line in wrong:
            print(f"! {line}")
    return 1 if wrong else 0


def health_table(asked: Asked) -> str:
    """A line each endpoint, and how many members may fail."""
    from pybernetes.deploy.etcd.health import fault_tolerance, leader_of
    from pybernetes.deploy.tables import table

    names = {member.id: member.name for member in asked.members}
    leader = leader_of(asked.answers)
    rows = [("ENDPOINT", "MEMBER", "HEALTH", "ROLE", "VERSION", "SIZE", "IN USE", "TERM", "INDEX", "REVISION")]
    for answer in asked.answers:
        status = answer.status
        if status is None:
            rows.append((answer.url, "", "unreachable", "", "", "", "", "", "", ""))
            continue
        role = "learner" if status.learner else "leader" if status.member == leader else "follower"
        state = f"ok {answer.commit_seconds * 1000:.0f}ms" if answer.commit_seconds is not None else "no quorum"
        state = "alarm" if status.errors and answer.commit_seconds is not None else state
        sizes = (_size(status.size), _size(status.in_use), str(status.raft_term), str(status.raft_index))
        rows.append(
            (answer.url, names.get(status.member, ""), state, role, status.version, *sizes, str(status.revision))
        )
    tolerance = fault_tolerance(asked.members)
    return f"{table(rows)}{len(asked.members)} members, of which {tolerance} may fail\n"


def save(values: Values) -> None:
    """FILE, mode 0600."""
    from pybernetes.deploy.etcd import snapshots

    path = Path(_word(values, "FILE"))
    size = etcdflags.run(snapshots.save(etcdflags.location(values), path))
    print(f"Snapshot saved at {path} ({_size(size)})")


def status(values: Values) -> None:
    """What is in a snapshot, once its digest was found right."""
    from pybernetes.deploy.etcd import snapshots
    from pybernetes.deploy.tables import table

    try:
        description = snapshots.describe(Path(_word(values, "FILE")))
    except snapshots.SnapshotError as error:
        raise Failure(str(error)) from error
    if _is_json(values):
        _print(
            {
                "hash": description.hash,
                "revision": description.revision,
                "totalKey": description.keys,
                "totalSize": description.size,
            }
        )
        return
    row = (f"{description.hash:x}", str(description.revision), str(description.keys), _size(description.size))
    print(table([("HASH", "REVISION", "TOTAL KEYS", "TOTAL SIZE"), row]), end="")


def restore(values: Values) -> None:
    """Makes a data directory; the etcd that is started on it is the first of a new cluster."""
    path, new_member = Path(_word(values, "FILE")), member(values)
    make_data(path, new_member, new_member.data_dir)


def member(values: Values) -> snapshots.Member:
    """For whom data are made, of the flags RESTORE. UsageError."""
    from pybernetes.deploy.configuration import ETCD_DATA_DIR
    from pybernetes.deploy.etcd import snapshots

    configuration = deployflags.configuration(values)
    local, address = configuration.cluster.etcd.local, configuration.init.local_api_endpoint.advertise_address
    name = values["name"] or configuration.init.node_registration.name
    url = values["initial-advertise-peer-urls"] or f"https://{f'[{address}]' if ':' in address else address}:2380"
    return snapshots.Member(
        name=name,
        peer_url=url,
        initial_cluster=values["initial-cluster"] or f"{name}={url}",
        token=values["initial-cluster-token"],
        data_dir=Path(values["data-dir"] or (local.data_dir if local is not None else "") or ETCD_DATA_DIR),
    )


def make_data(path: Path, new_member: snapshots.Member, directory: Path) -> None:
    """Of a snapshot. Failure."""
    from pybernetes.deploy.etcd import snapshots

    try:
        snapshots.restore(path, replace(new_member, data_dir=directory))
    except snapshots.SnapshotError as error:
        raise Failure(str(error)) from error
    print(f"{directory} holds the snapshot for member {new_member.name} of {new_member.initial_cluster}")


def defrag(values: Values) -> None:
    """One member after the other, the leader last; stops at the first that is not well afterwards."""
    etcdflags.run(_defragment(etcdflags.location(values), "endpoints" in values.given))


async def _defragment(where: Location, only_these: bool) -> None:
    from pybernetes.deploy.etcd import asking
    from pybernetes.deploy.etcd.access import at, opened
    from pybernetes.deploy.etcd.health import defragmentation_order, leader_of
    from pybernetes.store.etcd.maintenance import Maintenance

    asked = await asking.everything(where, only_these)
    order = defragmentation_order(asked.members, leader_of(asked.answers))
    urls = list(where.urls) if only_these else [member.client_urls[0] for member in order]
    down = [answer.url for answer in asked.answers if answer.commit_seconds is None]
    if down and not only_these:
        raise Failure(
            f"{', '.join(down)}: not well, and a member that defragments answers nobody meanwhile; mend that first"
        )
    for url in urls:
        async with opened(at(where, url)) as channel:
            before = (await Maintenance(channel).status()).size
            await Maintenance(channel).defragment()
        after = await asking.ask(where, url)
        if after.status is None or after.commit_seconds is None:
            raise Failure(f"{url} was defragmented and is not well: {after.problem}")
        print(f"{url}: {_size(before)} -> {_size(after.status.size)}")


def alarms(values: Values) -> int:
    """A line each; 1 where there is one."""
    asked = etcdflags.run(_alarms(etcdflags.location(values)))
    if _is_json(values):
        _print([{"member": f"{member:x}", "name": name, "alarm": kind} for member, name, kind in asked])
    elif not asked:
        print("no alarm")
    else:
        from pybernetes.deploy.tables import table

        rows = [("MEMBER", "NAME", "ALARM"), *((f"{member:x}", name, kind) for member, name, kind in asked)]
        print(table(rows), end="")
    return 1 if asked else 0


async def _alarms(where: Location) -> list[tuple[int, str, str]]:
    from pybernetes.deploy.etcd.access import opened
    from pybernetes.store.etcd.cluster import Membership
    from pybernetes.store.etcd.maintenance import Maintenance

    async with opened(where) as channel:
        names = {member.id: member.name for member in await Membership(channel).members(linearizable=False)}
        raised = await Maintenance(channel).alarms()
    return [(one.member, names.get(one.member, ""), one.alarm.name) for one in raised]


def disarm(values: Values) -> None:
    """All alarms; whose reason is still there comes back with the next write."""

    async def work(where: Location) -> list[str]:
        from pybernetes.deploy.etcd.access import opened
        from pybernetes.store.etcd.maintenance import Maintenance

        async with opened(where) as channel:
            raised = await Maintenance(channel).alarms()
            for one in raised:
                await Maintenance(channel).disarm(one)
            return [f"{one.alarm.name} of {one.member:x} disarmed" for one in raised]

    print("\n".join(etcdflags.run(work(etcdflags.location(values)))) or "no alarm")


def _word(values: Values, name: str) -> str:
    if not values.arguments:
        raise UsageError(f"{name} is missing")
    return str(values.arguments[0])


def _is_json(values: Values) -> bool:
    if values["output"] not in ("table", "json"):
        raise UsageError(f"--output={values['output']}: want table or json")
    return bool(values["output"] == "json")


def _print(document: object) -> None:
    json.dump(document, sys.stdout, indent=2)
    print()


def _member(member: Any) -> dict[str, Any]:
    return {
        "id": member.hex,
        "name": member.name,
        "started": member.started,
        "peerURLs": list(member.peer_urls),
        "clientURLs": list(member.client_urls),
        "isLearner": member.learner,
    }


def _answers(asked: Asked) -> list[dict[str, Any]]:
    answers = []
    for one in asked.answers:
        told: dict[str, Any] = {"endpoint": one.url, "healthy": one.healthy}
        if one.commit_seconds is not None:
            told["commitSeconds"] = round(one.commit_seconds, 4)
        if one.problem:
            told["problem"] = one.problem
        if (status := one.status) is not None:
            told |= {
                "member": f"{status.member:x}",
                "leader": f"{status.leader:x}",
                "version": status.version,
                "dbSize": status.size,
                "dbSizeInUse": status.in_use,
                "revision": status.revision,
                "raftTerm": status.raft_term,
                "raftIndex": status.raft_index,
                "isLearner": status.learner,
            }
        answers.append(told)
    return answers


def _size(size: int) -> str:
    return f"{size / (1 << 20):.1f}MiB" if size >= 1 << 20 else f"{size / 1024:.0f}KiB"


COMMANDS = Group(
    "Looks after a cluster's etcd: by the certificates of this host, or ETCDCTL_ENDPOINTS, _CACERT, _CERT, _KEY.",
    {
        "members": Subcommand("Who the members are", (*etcdflags.ACCESS, OUTPUT), members),
        "health": Subcommand("How each of them is", (*etcdflags.ACCESS, OUTPUT), health),
        "snapshot": Group(
            "All of etcd's content as a file.",
            {
                "save": Subcommand("Take one from a member", etcdflags.ACCESS, save, "FILE"),
                "status": Subcommand("What is in one", (OUTPUT,), status, "FILE"),
            },
        ),
        "restore": Subcommand("Make a member's data of a snapshot", RESTORE, restore, "FILE"),
        "defrag": Subcommand("Give unused space back, one member after the other", etcdflags.ACCESS, defrag),
        "alarms": Group(
            "Why members take no writes.",
            {
                "list": Subcommand("Those that are raised", (*etcdflags.ACCESS, OUTPUT), alarms),
                "disarm": Subcommand("End all of them", etcdflags.ACCESS, disarm),
            },
        ),
    },
)
