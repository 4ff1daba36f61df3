"""What the answers of etcd's members mean for the cluster; pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pybernetes.store.etcd.cluster import Member
from pybernetes.store.etcd.maintenance import Alarm, Raised, Status

# Behind the others' log, from which on a member is worth a word; etcd's snapshots come every 10,000.
LAGGING_ENTRIES = 5000
WASTED = 0.5  # of the file, from which on defragmenting is worth it
WASTED_BYTES = 100 << 20


@dataclass(frozen=True, slots=True)
class Answer:
    """Of one endpoint. `commit_seconds`: of a read that needs the quorum; None with `problem` where there was none."""

    url: str
    status: Status | None = None
    commit_seconds: float | None = None
    problem: str = ""

    @property
    def healthy(self) -> bool:
        """Whether it serves reads and writes."""
        return self.status is not None and self.commit_seconds is not None and not self.status.errors


def fault_tolerance(members: Sequence[Member]) -> int:
    """How many members with a vote may fail before nothing is written any more."""
    voters = sum(not member.learner for member in members)
    return (voters - 1) // 2 if voters else 0


def leader_of(answers: Sequence[Answer]) -> int:
    """The member that most of those with the highest term call their leader; 0: none."""
    told = [one.status for one in answers if one.status is not None]
    term = max((status.raft_term for status in told), default=0)
    named = [status.leader for status in told if status.raft_term == term and status.leader]
    return max(set(named), key=named.count, default=0)


def findings(members: Sequence[Member], answers: Sequence[Answer], alarms: Sequence[Raised]) -> list[str]:
    """What is wrong, a line each with what to do; empty where all is well."""
    names = {member.id: member.name or member.hex for member in members}
    voters = [member for member in members if not member.learner]
    quorum = len(voters) // 2 + 1
    reached = sum(one.status is not None and not one.status.learner for one in answers)
    agree = any(one.commit_seconds is not None for one in answers if one.status and not one.status.learner)
    problems = []
    if voters and not agree and len(answers) >= len(voters):
        problems.append(
            f"{reached} of {len(voters)} members answer and {quorum} are needed: nothing is written. Bring members back; where their data "
            "are lost, restore a snapshot (`pybernetes etcd restore`)"
        )
    for answer in answers:
        if answer.problem:
            problems.append(f"{answer.url}: {answer.problem}")
    for member in members:
        if not member.started:
            problems.append(
                f"member {member.hex} ({', '.join(member.peer_urls)}) was added and has never started: start it, or remove it"
            )
    newest = max((one.status.raft_index for one in answers if one.status), default=0)
    for answer in answers:
        status = answer.status
        if status is None:
            continue
        if newest - status.raft_applied > LAGGING_ENTRIES:
            problems.append(
                f"{answer.url} is {newest - status.raft_applied} entries behind: its disk or network is slow"
            )
        wasted = status.size - status.in_use
        if status.in_use and wasted > WASTED_BYTES and wasted > WASTED * status.size:
            problems.append(f"{answer.url}: {wasted >> 20} MiB of its file are unused: `pybernetes etcd defrag`")
    for raised in alarms:
        whose = names.get(raised.member, f"{raised.member:x}")
        problems.append(f"alarm {raised.alarm.name} of {whose}: {REMEDIES[raised.alarm]}")
    return problems


REMEDIES = {
    Alarm.NONE: "of a kind that is not known here",
    Alarm.NOSPACE: (
        "the quota is used up and nothing is written: `pybernetes etcd defrag`, raise --quota-backend-bytes where that gives too little, "
        "then `pybernetes etcd alarms disarm`"
    ),
    Alarm.CORRUPT: "its data differ from the others': remove the member, delete its data directory, and add it anew",
}


def defragmentation_order(members: Sequence[Member], leader: int) -> list[Member]:
    """One after the other, the leader last: what it gives up then is elected anew once."""
    return sorted((member for member in members if member.client_urls), key=lambda member: member.id == leader)
