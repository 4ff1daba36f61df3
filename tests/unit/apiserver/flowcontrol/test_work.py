"""Seats of requests."""

import pytest

from pybernetes.apiserver.endpoints import requestinfo
from pybernetes.apiserver.flowcontrol import work
from pybernetes.apiserver.flowcontrol.work import Estimate, Stored, WatchTracker
from pybernetes.apiserver.query import parse
from pybernetes.apiserver.types import RequestInfo

PODS = "/api/v1/namespaces/default/pods"


def info(method: str, path: str, query: str = "") -> RequestInfo:
    return requestinfo.parse(method, path, parse(query.encode()))


@pytest.mark.parametrize(
    ("query", "stored", "most", "seats"),
    [
        ("", Stored(10, 1000), 0, 1),
        ("", Stored(0, 0), 0, 1),
        ("", None, 0, 1),  # another server's, or a typing mistake
        ("", Stored(450, 1000), 0, 5),
        ("", Stored(450, 1000), 3, 3),
        ("", Stored(10**6, 1000), 0, 10),  # it is written piece by piece
        ("", Stored(10**6, 1000), 200, 10),
        ("limit=200", Stored(1000, 1000), 0, 2),
        ("limit=200&continue=abc", Stored(1000, 1000), 0, 2),
        ("limit=200&continue=abc&labelSelector=a", Stored(10_000, 1000), 0, 50),
        ("limit=200&resourceVersion=5&labelSelector=a", Stored(100_000, 1000), 0, 100),
        ("limit=200&resourceVersion=0&labelSelector=a", Stored(100_000, 1000), 0, 2),
        ("resourceVersionMatch=Exact&resourceVersion=5", Stored(5000, 1000), 0, 50),
        ("resourceVersionMatch=NotOlderThan&resourceVersion=5", Stored(5000, 1000), 0, 10),
        ("fieldSelector=metadata.name%3Da", Stored(5000, 1000), 0, 1),
        ("limit=x", Stored(1, 1), 0, 100),  # it is refused later
        ("limit=x", Stored(1, 1), 8, 8),
        ("watch=1", Stored(5000, 1000), 0, 10),
        ("watch=1&resourceVersion=0", Stored(5000, 1000), 0, 10),
        ("watch=1&resourceVersion=7", Stored(5000, 1000), 0, 1),
        ("watch=1&resourceVersion=7&sendInitialEvents=true", Stored(5000, 1000), 0, 10),
    ],
)
def test_lists_and_watches(query: str, stored: Stored | None, most: int, seats: int) -> None:
    asked = parse(query.encode())
    assert work.of_list(info("GET", PODS, query), asked, most, lambda _: stored) == Estimate(seats)


@pytest.mark.parametrize(
    ("watches", "most", "expected"),
    [
        (0, 0, Estimate(1)),
        (9, 0, Estimate(1)),
        (10, 0, Estimate(1, 1, 0.005)),
        (25, 0, Estimate(1, 3, 0.005)),
        (1000, 0, Estimate(1, 10, 0.05)),  # the work of 100 seats, on ten of them for ten times as long
        (1000, 2, Estimate(1, 2, 0.25)),
    ],
)
def test_writes_by_who_hears_of_them(watches: int, most: int, expected: Estimate) -> None:
    given = work.of_write(info("POST", PODS), most, watches)
    assert given[:2] == expected[:2]
    assert given.additional_latency == pytest.approx(expected.additional_latency)


def test_tokens_are_heard_of_by_nobody() -> None:
    path = "/api/v1/namespaces/default/serviceaccounts/a/token"
    assert work.of_write(info("POST", path), 0, 1000) == Estimate(1)


@pytest.mark.parametrize(
    ("limit", "hand", "seats"), [(49, 6, 8), (245, 6, 37), (13, 6, 2), (3, 6, 1), (0, 1, 1), (100, 1, 15), (98, 6, 15)]
)
def test_seats_of_one_request(limit: int, hand: int, seats: int) -> None:
    assert work.max_seats(limit, hand) == seats


def test_who_watches() -> None:
    tracker = WatchTracker()
    paths = ("/api/v1/pods", PODS, f"{PODS}?name=a", "/api/v1/namespaces/other/pods", "/api/v1/configmaps")
    begun = [tracker.begin(info("GET", path.partition("?")[0], "watch=1")) for path in paths]
    begun.append(tracker.begin(info("GET", PODS, "watch=1&fieldSelector=metadata.name%3Da")))
    begun.append(tracker.begin(info("GET", "/api/v1/pods", "watch=1&fieldSelector=spec.nodeName%3Dn")))
    begun.append(tracker.begin(info("GET", "/api/v1/pods", "watch=1&fieldSelector=status.phase%3DRunning")))
    assert tracker.interested(info("POST", PODS)) == 4
    assert tracker.interested(info("PUT", f"{PODS}/a")) == 5
    assert tracker.interested(info("PUT", f"{PODS}/b")) == 4
    assert tracker.interested(info("DELETE", "/api/v1/namespaces/x/pods/a")) == 2
    assert tracker.interested(info("PUT", "/apis/apps/v1/namespaces/default/deployments/a")) == 0
    for one in begun:
        tracker.end(one)
    assert tracker.interested(info("PUT", f"{PODS}/a")) == 0
    assert not tracker._counts
