"""The list of controllers is true."""

from __future__ import annotations

import subprocess
import sys

import pytest

from pybernetes.controllers import CONTROLLERS, Entry, selected


@pytest.mark.parametrize("entry", CONTROLLERS, ids=lambda entry: entry.name)
def test_each_entry_leads_to_its_controller(entry: Entry) -> None:
    assert entry.load().name == entry.name


def test_names_mean_one_controller() -> None:
    names = [name for entry in CONTROLLERS for name in (entry.name, *entry.aliases)]
    assert len(names) == len(set(names))


def test_bootstrap_controllers_run_when_they_are_asked_for() -> None:
    def names(*chosen: str) -> set[str]:
        return {entry.name for entry in selected(chosen)}

    assert "token-cleaner-controller" not in names("*")
    assert {"token-cleaner-controller", "bootstrap-signer-controller"} <= names("*", "tokencleaner", "bootstrapsigner")
    assert names("*", "-garbagecollector") == names("*") - {"garbage-collector-controller"}


def test_cryptography_is_loaded_only_where_it_is_used() -> None:
    code = (
        "import sys\nfrom pybernetes.controllers import CONTROLLERS\n"
        "[entry.load() for entry in CONTROLLERS]\nprint({'cryptography', 'jwt'} & set(sys.modules))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "set()"


@pytest.mark.parametrize(
    ("name", "delays"),
    [
        ("job-controller", (1.0, 60.0)),
        ("endpointslice-controller", (1.0, 1000.0)),
        ("endpointslice-mirroring-controller", (1.0, 100.0)),
        ("certificatesigningrequest-signing-controller", (0.2, 1000.0)),
        ("certificatesigningrequest-approving-controller", (0.2, 1000.0)),
        ("replicaset-controller", (0.005, 1000.0)),
        ("endpoints-controller", (0.005, 1000.0)),
        ("statefulset-controller", (0.005, 1000.0)),
    ],
)
def test_what_fails_is_tried_again_after_upstreams_delays(name: str, delays: tuple[float, float]) -> None:
    (entry,) = [entry for entry in CONTROLLERS if entry.name == name]
    assert entry.load().retry_delays == delays
