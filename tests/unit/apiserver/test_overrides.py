"""--etcd-servers-overrides: upstream's syntax, and what cannot be."""

from __future__ import annotations

import asyncio

import pytest

from pybernetes.apiserver.options import FLAGS
from pybernetes.apiserver.options.store import opened_overrides, overrides
from pybernetes.component import flags
from pybernetes.component.command import UsageError

A, B = "http://a:2379", "https://b:2379"


def test_the_place_of_resources() -> None:
    found = overrides([f"/events#{A};{B}", f"apps/deployments#{B}", f"events.k8s.io/events#{A}"])
    assert found == {("", "events"): (A,), ("apps", "deployments"): (B,)}
    assert overrides([]) == {}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("events", "must be of format: group/resource#servers"),
        (f"events#{A}", "must be of format"),
        (f"/events{A}", "must be of format"),
        ("/events#", "must be of format"),
        (f"/events#{A};", "must be of format"),
        (f"/events#{A}#{B}", "must be of format"),
        (f"a/b/c#{A}", "must be of format"),
        ("/events#a:2379", "want http://HOST:PORT"),
        (f"/evnts#{A}", "no built-in resource 'evnts' in group ''"),
        (f"core/events#{A}", "no built-in resource 'events' in group 'core'"),
        (f"/services#{A}", "services cannot lie apart"),
    ],
)
def test_what_is_none(text: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        overrides([text])


async def _open(*arguments: str) -> None:
    await opened_overrides(flags.parse("kube-apiserver", FLAGS, arguments))


def test_the_other_resources_need_a_place() -> None:
    with pytest.raises(UsageError, match="--etcd-servers is needed"):
        asyncio.run(_open(f"--etcd-servers-overrides=/events#{A}"))
