"""Time, rights and failures of an operator that is called as a function."""

from __future__ import annotations

from typing import Any

import pytest
from janitor import TTL, sweep
from lightkube import ApiError, Client

from pybernetes.testing import Kube

RIGHTS = [{"resources": ["configmaps"], "verbs": ["list", "delete"]}]


def config_map(name: str, ttl: str = "3600") -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "annotations": {TTL: ttl}}}


@pytest.fixture
def client(kube: Kube) -> Client:
    """With the operator's own rights, so that one that is missing is seen here."""
    made: Client = kube.user("janitor", rules=RIGHTS).client("lightkube")
    return made


def test_what_is_due_goes(kube: Kube, client: Client) -> None:
    kube.apply([config_map("hour"), config_map("day", "86400"), config_map("never", "soon")])
    assert sweep(client, kube.clock.now) == []
    kube.clock.advance("1h")
    assert sweep(client, kube.clock.now) == ["hour"]
    kube.clock.advance("23h")
    assert sweep(client, kube.clock.now) == ["day"]
    assert kube.get("cm", "never")


def test_an_answer_that_is_lost(kube: Kube, client: Client) -> None:
    """The first try has deleted it, and the client is told that time ran out."""
    kube.apply(config_map("lost", "0"))
    lost = kube.faults.add(verb="delete", resource="configmaps", error="Timeout", after=True, times=1)
    assert sweep(client, kube.clock.now) == ["lost"]
    assert [one.code for one in kube.requests.where(verb="delete")] == [504, 404] and lost.hits == 1


def test_a_list_that_expires(kube: Kube, client: Client) -> None:
    kube.apply([config_map("a", "0"), config_map("b", "0")])
    kube.faults.add(verb="list", gone=True, times=1)
    assert sweep(client, kube.clock.now, page=1) == ["a", "b"]


def test_it_gives_up_some_time(kube: Kube, client: Client) -> None:
    refused = kube.faults.add(verb="list", error="ServiceUnavailable")
    with pytest.raises(ApiError, match="injected by the test"):
        sweep(client, kube.clock.now, pause=0)
    assert refused.hits == 5


def test_no_more_rights_than_it_needs(kube: Kube, client: Client) -> None:
    from lightkube.resources.core_v1 import Secret

    with pytest.raises(ApiError, match="forbidden"):
        list(client.list(Secret))
