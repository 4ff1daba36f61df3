"""`pybernetes node drain|uncordon|remove NAME`: takes a node out of service, for a while or for ever (upstream: kubectl drain)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from pybernetes.component import flags, subcommands
from pybernetes.component.command import Failure, UsageError
from pybernetes.component.flags import Flag, Values
from pybernetes.component.subcommands import Group, Subcommand

from . import deployflags, etcdflags

if TYPE_CHECKING:
    from pybernetes.api.types import core_v1 as core
    from pybernetes.client.rest import RESTClient
    from pybernetes.deploy.drain import Options
    from pybernetes.store.backends import Location

PROGRAM = "pybernetes node"
DRAIN = (
    deployflags.KUBECONFIG,
    Flag("ignore-daemonsets", flags.boolean, False, "Leave pods of DaemonSets where they are."),
    Flag("delete-emptydir-data", flags.boolean, False, "Also pods with emptyDir volumes, whose data are lost."),
    Flag("force", flags.boolean, False, "Also pods that no controller makes anew."),
    Flag("grace-period", flags.integer, -1, "Seconds that pods have to end; negative: their own."),
    Flag("timeout", flags.duration, 0.0, "How long to wait for pods to be gone; 0: for ever."),
)
REMOVE = (
    *DRAIN,
    *(flag for flag in etcdflags.ACCESS if flag is not deployflags.KUBECONFIG),
    Flag("drain", flags.boolean, True, "Have its pods leave first; false: of a host that is gone."),
    Flag("etcd", flags.boolean, True, "Remove its member of etcd too; false: there is none, or it was removed."),
)


def main(arguments: list[str]) -> int:
    return subcommands.main(PROGRAM, COMMANDS, arguments)


def drain(values: Values) -> None:
    """Failure where pods stay; the node is cordoned then."""
    from pybernetes.aio.clock import RealClock
    from pybernetes.deploy import drain as drains

    name, options = _name(values), _options(values)
    try:
        asyncio.run(
            deployflags.asked(
                deployflags.kubeconfig_path(values),
                lambda client: drains.drain(client, name, options, RealClock(), print),
            )
        )
    except drains.DrainError as error:
        raise Failure(f"unable to drain node {name!r}: {error}") from error


def uncordon(values: Values) -> None:
    """Pods may be placed on it again."""
    from pybernetes.deploy import drain as drains

    name = _name(values)

    async def work(client: RESTClient) -> None:
        await drains.cordon(client, name, False, print)

    asyncio.run(deployflags.asked(deployflags.kubeconfig_path(values), work))


def remove(values: Values) -> None:
    """Drained, out of etcd, and its Node deleted; what is on the host itself is `reset`'s business."""
    from pybernetes.deploy.drain import DrainError

    name = _name(values)
    try:
        etcdflags.run(
            deployflags.asked(deployflags.kubeconfig_path(values), lambda client: _remove(client, name, values))
        )
    except DrainError as error:
        raise Failure(f"unable to drain node {name!r}: {error}; --drain=false for a host that is gone") from error
    print(f"node/{name} removed; on the host itself: pybernetes reset")


async def _remove(client: RESTClient, name: str, values: Values) -> None:
    from pybernetes.aio.clock import RealClock
    from pybernetes.api.types import core_v1 as core
    from pybernetes.deploy import drain as drains
    from pybernetes.deploy.removal import CONTROL_PLANE

    node = await client.get(core.Node, name)
    where = None
    if values["etcd"] and CONTROL_PLANE in node.metadata.labels:
        where = await asyncio.to_thread(etcdflags.location, values)
        await _check_member(where, node)  # before anything is moved
    if values["drain"]:
        await drains.drain(client, name, _options(values), RealClock(), print)
    else:
        await drains.cordon(client, name, True, print)
    if where is not None:
        await _remove_member(where, node)
    await client.delete(core.Node, name, uid=node.metadata.uid)


async def _check_member(where: Location, node: core.Node) -> None:
    from pybernetes.deploy import removal
    from pybernetes.deploy.etcd import asking

    asked = await asking.everything(where)
    member = removal.member_of(node.metadata.name, _addresses(node), asked.members)
    problem = removal.problem(member, asked.members, asked.answers) if member is not None else ""
    if problem:
        raise Failure(problem)


async def _remove_member(where: Location, node: core.Node) -> None:
    from pybernetes.deploy import removal
    from pybernetes.deploy.etcd import asking
    from pybernetes.deploy.etcd.access import opened
    from pybernetes.store.etcd.cluster import Membership, settled

    await _check_member(where, node)  # others may have gone meanwhile
    member = removal.member_of(node.metadata.name, _addresses(node), await asking.members(where))
    if member is None:
        print(f"etcd has no member on {node.metadata.name}")
        return
    async with opened(where, leader=True) as channel:
        membership = Membership(channel)
        left = await settled(lambda: membership.remove(member.id), SETTLE_SECONDS)
    print(f"etcd member {member.name or member.hex} removed, {len(left)} stay")


SETTLE_SECONDS = 15.0  # etcd refuses changes for 5 s after a member has connected


def _addresses(node: core.Node) -> set[str]:
    return {address.address for address in node.status.addresses}


def _options(values: Values) -> Options:
    from pybernetes.deploy.drain import Options
    from pybernetes.deploy.drainplan import Consent

    consent = Consent(values["ignore-daemonsets"], values["delete-emptydir-data"], values["force"])
    grace: int = values["grace-period"]
    return Options(consent, grace if grace >= 0 else None, values["timeout"])


def _name(values: Values) -> str:
    if not values.arguments:
        raise UsageError("NAME is missing: which node?")
    return str(values.arguments[0])


COMMANDS = Group(
    "Takes nodes out of service and brings them back.",
    {
        "drain": Subcommand("No new pods, and those that are there leave as their budgets allow", DRAIN, drain, "NAME"),
        "uncordon": Subcommand("Pods may be placed on it again", (deployflags.KUBECONFIG,), uncordon, "NAME"),
        "remove": Subcommand("Drained, out of etcd, and deleted", REMOVE, remove, "NAME"),
    },
)
