"""The operator runs on a thread of the test, against a cluster of the test's own."""

from __future__ import annotations

import asyncio
import gc
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kopf.testing import KopfRunner

from pybernetes.api.errors import StatusError
from pybernetes.testing import Kube

HERE = Path(__file__).parent
pytestmark = pytest.mark.kubernetes(crds=[HERE / "crd.yaml"], controllers=["garbage-collector-controller"])


@pytest.fixture
def operator(kube: Kube, monkeypatch: pytest.MonkeyPatch) -> Iterator[KopfRunner]:
    """kopf finds the cluster by KUBECONFIG, which the fixture `kube` has set; its timers are of the cluster's time."""
    monkeypatch.setattr(asyncio, "new_event_loop", kube.clock.new_event_loop)
    with KopfRunner(["run", "--standalone", "--all-namespaces", str(HERE / "greeter.py")], timeout=60) as runner:
        yield runner
    assert runner.exit_code == 0, runner.output
    with warnings.catch_warnings():  # kopf leaves some of its connections to the collector
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


def greeting(**spec: str) -> dict[str, Any]:
    return {"apiVersion": "example.com/v1", "kind": "Greeting", "metadata": {"name": "g"}, "spec": spec}


def said(word: str) -> Any:
    return lambda one: one["data"]["greeting"] == word


def test_a_greeting_is_said_and_said_anew(kube: Kube, operator: KopfRunner) -> None:
    kube.apply(greeting(word="Hello"))
    kube.wait_for("cm", "g", said("Hello, world!"))
    kube.wait_for("greeting", "g", ".status.greet.length=13")
    kube.patch("greeting", "g", {"spec": {"whom": "you"}})
    kube.wait_for("cm", "g", said("Hello, you!"))
    assert kube.requests.where(verb="create", resource="configmaps", code=201)[0].name == "g"


def test_its_words_go_with_it(kube: Kube, operator: KopfRunner) -> None:
    kube.apply(greeting(word="Hello"))
    kube.wait_for("cm", "g", "created")
    kube.delete("greeting", "g")
    kube.wait_for("cm", "g", "deleted")


def test_a_server_that_is_busy_is_asked_again(kube: Kube, operator: KopfRunner) -> None:
    busy = kube.faults.add(verb="create", resource="configmaps", error="ServiceUnavailable", times=2)
    kube.apply(greeting(word="Hello"))
    kube.wait_for("cm", "g", said("Hello, world!"))
    assert busy.hits == 2


def test_it_is_looked_at_each_hour(kube: Kube, operator: KopfRunner) -> None:
    kube.apply(greeting(word="Hello"))
    kube.wait_for("greeting", "g", ".status.looks=1")
    kube.wait_for("greeting", "g", ".status.greet.length=13")
    kube.clock.advance("3h")
    assert kube.get("greeting", "g")["status"]["looks"] == 4


def test_a_greeting_without_a_word_is_refused(kube: Kube) -> None:
    with pytest.raises(StatusError, match=r"spec\.word: Required value"):
        kube.apply(greeting(whom="you"))
