"""Which requests a rule means, and which of them it hits."""

from __future__ import annotations

from typing import Any

import pytest

from pybernetes.apiserver.filters.faultrules import Fault, FaultError
from pybernetes.apiserver.types import RequestInfo


def info(verb: str = "update", resource: str = "configmaps", **more: Any) -> RequestInfo:
    return RequestInfo(verb, "/", True, **{"namespace": "default", "name": "a", "resource": resource, **more})


@pytest.mark.parametrize(
    ("rule", "about", "matches"),
    [
        ({}, info(), True),
        ({"verb": "write"}, info(), True),
        ({"verb": "read"}, info(), False),
        ({"verb": ["get", "update"]}, info(), True),
        ({"resource": "configmaps"}, info(), True),
        ({"resource": "configmaps"}, info(subresource="status"), False),
        ({"resource": "configmaps/status"}, info(subresource="status"), True),
        ({"resource": "deployments.apps"}, info(resource="deployments", group="apps"), True),
        ({"resource": "deployments"}, info(resource="deployments", group="apps"), True),
        ({"resource": "*.example.com"}, info(resource="widgets", group="example.com"), True),
        ({"resource": "*.example.com"}, info(), False),
        ({"name": "a*"}, info(), True),
        ({"name": "b"}, info(), False),
        ({"namespace": "kube-system"}, info(), False),
        ({"user": "jane"}, info(), True),
        ({"user": "system:*"}, info(), False),
        ({}, RequestInfo("get", "/healthz"), False),
    ],
)
def test_matches(rule: dict[str, Any], about: RequestInfo, matches: bool) -> None:
    assert Fault.read({"error": 500, **rule}).matches(about, "jane", False, False) is matches


def test_parts_of_the_cluster_are_meant_by_name_only() -> None:
    assert not Fault(error=500).matches(info(), "system:kube-scheduler", False, True)
    assert Fault(error=500, user="system:kube-scheduler").matches(info(), "system:kube-scheduler", False, True)


@pytest.mark.parametrize(
    ("rule", "hits"),
    [
        ({}, "xxxxxx"),
        ({"nth": 2}, ".x...."),
        ({"skip": 2}, "..xxxx"),
        ({"times": 2}, "xx...."),
        ({"skip": 1, "times": 3}, ".xxx.."),
    ],
)
def test_which_of_them(rule: dict[str, Any], hits: str) -> None:
    fault = Fault.read({"error": "Conflict", **rule})
    assert "".join("x" if fault.hit(info(), "a") else "." for _ in hits) == hits
    assert fault.hits == hits.count("x")


def test_each_object_is_counted_for_itself() -> None:
    storm = Fault(error="Conflict", nth=1, per="object")
    assert [storm.hit(info(), name) for name in ("a", "b", "a", "b", "c")] == [True, True, False, False, True]


def test_dice_of_a_seed_fall_alike() -> None:
    def falls(seed: int) -> list[bool]:
        fault = Fault(error=500, probability=0.5, seed=seed)
        return [fault.hit(info(), "a") for _ in range(64)]

    assert falls(1) == falls(1) != falls(2)
    assert 10 < sum(falls(1)) < 54


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ({}, "a rule that does nothing: want error, drop, gone, stale or delay"),
        ({"eror": 500}, "eror: there is verb, resource, namespace, name, user, skip, nth, times, probability, "),
        ({"verb": "put", "error": 500}, "verb='put': want some of get, list, watch, create, "),
        ({"error": 200}, "error=200: want a code from 400 to 599, or one of BadRequest, "),
        ({"error": "Sometimes"}, "error='Sometimes': want a code"),
        ({"error": 500, "drop": True}, "error and drop: want one of them"),
        ({"error": 500, "probability": 2}, "probability=2: want a number above 0, at most 1"),
        ({"error": 500, "nth": -1}, "nth=-1: want a number, 0 or more"),
        ({"delay": "soon"}, "delay='soon': want seconds, or a duration"),
        ({"gone": True, "after": True}, "after: want error or drop beside it"),
        ({"drop": True, "message": "x"}, "message and retry_after: want error beside them"),
        ({"error": 500, "per": "user"}, 'per=\'user\': want "rule" or "object"'),
        ([], "[]: want a rule, with some of verb, "),
    ],
)
def test_what_is_no_rule(rule: Any, words: str) -> None:
    with pytest.raises(FaultError) as refused:
        Fault.read(rule)
    assert str(refused.value).startswith(words)


def test_words_of_a_failure() -> None:
    conflict = Fault(error="Conflict").status(info(), "a").status
    assert (conflict["code"], conflict["reason"]) == (409, "Conflict") and "the object has been modified" in conflict[
        "message"
    ]
    busy = Fault(error=429, retry_after=3).status(info(), "a").status
    assert (busy["reason"], busy["details"]["retryAfterSeconds"]) == ("TooManyRequests", 3)
    assert Fault(error=418, message="teapot").status(info(), "a").status["message"] == "teapot"
