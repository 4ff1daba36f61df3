"""Whose turn it is, by upstream's rules."""

from __future__ import annotations

from pybernetes.proxy.backends.userspace import balancer
from pybernetes.proxy.backends.userspace.balancer import RoundRobin
from pybernetes.proxy.model import Endpoint

A, B, C = (Endpoint(f"10.244.0.{n}", 8080, False) for n in (1, 2, 3))


def made(*endpoints: Endpoint, affinity: int = 0) -> RoundRobin:
    result = RoundRobin(lambda given: given.reverse())
    result.update(endpoints, affinity)
    return result


def test_one_after_the_other() -> None:
    robin = made(A, B, C)
    assert [robin.next("c", 0.0) for _ in range(4)] == [C, B, A, C]
    assert made().next("c", 0.0) is None


def test_the_same_endpoints_keep_the_turn() -> None:
    robin = made(A, B)
    assert robin.next("c", 0.0) == B
    robin.update([B, A], 0)
    assert robin.next("c", 0.0) == A
    robin.update([A, C], 0)
    assert [robin.next("c", 0.0) for _ in range(2)] == [C, A]


def test_a_client_keeps_his_endpoint_until_he_has_been_away_too_long() -> None:
    robin = made(A, B, affinity=10)
    assert [robin.next(client, 0.0) for client in ("x", "y", "x", "x")] == [B, A, B, B]
    assert robin.next("x", 9.0) == B
    assert robin.next("x", 18.9) == B, "counted from when he came last"
    assert robin.next("x", 28.9) in (A, B)
    assert robin.next("z", 100.0) == A, "all are forgotten, the turn is not"


def test_who_is_not_answered_gets_another_one_and_keeps_that() -> None:
    robin = made(A, B, affinity=10)
    assert robin.next("x", 0.0) == B
    assert robin.next("x", 0.0, reset=True) == A
    assert robin.next("x", 1.0) == A


def test_clients_of_an_endpoint_that_is_gone_are_free() -> None:
    robin = made(A, B, affinity=10)
    assert [robin.next(client, 0.0) for client in ("x", "y")] == [B, A]
    robin.update([A, C], 10)
    assert [robin.next(client, 0.0) for client in ("y", "x")] == [A, C]
    robin.update([A, C], 0)
    assert [robin.next("y", 0.0) for _ in range(2)] == [A, C], "no affinity any more"


def test_clients_are_bounded() -> None:
    robin = made(A, B, affinity=10)
    for number in range(balancer.MOST_CLIENTS + 10):
        robin.next(f"c{number}", 0.0)
    assert len(robin._clients) == balancer.MOST_CLIENTS
    assert "c0" not in robin._clients and "c10" in robin._clients
