"""What the answers of members mean."""

from __future__ import annotations

import pytest

from pybernetes.deploy.etcd.health import Answer, defragmentation_order, fault_tolerance, findings, leader_of
from pybernetes.store.etcd.cluster import Member, initial_cluster
from pybernetes.store.etcd.maintenance import Alarm, Raised, Status

MIB = 1 << 20
MEMBERS = [Member(n, f"m{n}", (f"p{n}",), (f"c{n}",)) for n in (1, 2, 3)]


def well(member: int, **fields: int) -> Answer:
    return Answer(
        f"c{member}",
        Status(**{"member": member, "leader": 1, "raft_term": 5, "raft_applied": 100, "raft_index": 100, **fields}),
        0.01,
    )


def dead(member: int) -> Answer:
    return Answer(f"c{member}", problem=f"cannot connect to c{member}: refused")


@pytest.mark.parametrize(
    ("answers", "alarms", "expected"),
    [
        ([well(1), well(2), well(3)], [], []),
        ([well(1), well(2), dead(3)], [], ["c3: cannot connect"]),
        ([well(1)], [], []),  # the only one that was asked
        (
            [Answer("c1", Status(member=1), None, "etcdserver: no leader"), dead(2), dead(3)],
            [],
            ["1 of 3 members answer and 2 are needed", "c1: etcdserver: no leader", "c2: ", "c3: "],
        ),
        ([well(1), well(2), well(3, raft_applied=1, raft_index=1)], [], []),
        ([well(1, raft_index=9000, raft_applied=9000), well(2, raft_index=9000, raft_applied=9000), well(3)], [], ["c3 is 8900 entries"]),
        ([well(1, size=300 * MIB, in_use=100 * MIB), well(2), well(3)], [], ["c1: 200 MiB of its file are unused"]),
        ([well(1, size=300 * MIB, in_use=250 * MIB), well(2), well(3)], [], []),
        ([well(1), well(2), well(3)], [Raised(2, Alarm.NOSPACE), Raised(9, Alarm.CORRUPT)], ["alarm NOSPACE of m2", "alarm CORRUPT of 9"]),
    ],
)  # fmt: skip
def test_findings(answers: list[Answer], alarms: list[Raised], expected: list[str]) -> None:
    found = findings(MEMBERS, answers, alarms)
    assert len(found) == len(expected), found
    for line, start in zip(found, expected, strict=True):
        assert line.startswith(start)


def test_a_member_that_never_came() -> None:
    [line] = findings([*MEMBERS, Member(255, peer_urls=("https://x:2380",), learner=True)], [well(1)], [])
    assert line.startswith("member ff (https://x:2380) was added and has never started")


@pytest.mark.parametrize(
    ("voters", "learners", "expected"), [(0, 0, 0), (1, 0, 0), (2, 0, 0), (3, 0, 1), (3, 2, 1), (4, 0, 1), (5, 0, 2)]
)
def test_fault_tolerance(voters: int, learners: int, expected: int) -> None:
    assert (
        fault_tolerance([*(Member(n) for n in range(voters)), *(Member(9, learner=True) for _ in range(learners))])
        == expected
    )


def test_the_leader_is_whom_the_newest_term_names() -> None:
    old = well(3, raft_term=4, leader=3)
    assert leader_of([old, well(1), well(2)]) == 1
    assert leader_of([dead(1), well(2, leader=0)]) == 0
    assert [member.id for member in defragmentation_order(MEMBERS, 1)] == [2, 3, 1]


def test_what_a_new_member_is_started_with() -> None:
    new = Member(9, peer_urls=("p9",))
    assert initial_cluster([new, *MEMBERS], 9, "m9") == "m9=p9,m1=p1,m2=p2,m3=p3"
