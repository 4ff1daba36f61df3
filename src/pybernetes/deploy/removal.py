"""What leaves with a node: its member of etcd, and whether the cluster can do without it; pure."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from urllib.parse import urlsplit

from pybernetes.store.etcd.cluster import Member

from .etcd.health import Answer

CONTROL_PLANE = "node-role.kubernetes.io/control-plane"


def member_of(name: str, addresses: Collection[str], members: Sequence[Member]) -> Member | None:
    """The member on a node: of its name, as init and join call it, else at one of its addresses."""
    by_name = next((member for member in members if member.name == name), None)
    return by_name or next(
        (member for member in members if any(urlsplit(url).hostname in addresses for url in member.peer_urls)), None
    )


def problem(leaving: Member, members: Sequence[Member], answers: Sequence[Answer]) -> str:
    """Why it must not leave now, "" where it may: after it a majority of those that stay has to be well."""
    staying = [member for member in members if member.id != leaving.id and not member.learner]
    if leaving.learner:
        return ""
    if not staying:
        return f"{leaving.name or leaving.hex} is the last member of etcd: with it all objects would be gone"
    well = {answer.status.member for answer in answers if answer.status is not None and answer.healthy}
    alive = sum(member.id in well for member in staying)
    quorum = len(staying) // 2 + 1
    if alive < quorum:
        return (
            f"of the {len(staying)} members of etcd that would stay {alive} are well and {quorum} are needed: bring others back first "
            "(`pybernetes etcd health`)"
        )
    return ""
