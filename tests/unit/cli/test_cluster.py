"""`up`, `status` and `supervise` as commands: what the flags mean, what is printed, which exit code it ends with."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from pybernetes.cli import status, supervise, up
from pybernetes.cluster import state
from pybernetes.cluster.layout import Layout
from pybernetes.cluster.settings import ClusterConfig
from pybernetes.component import flags

SETTINGS = ClusterConfig(node_name="a", addresses=["192.0.2.2"], hollow_nodes=1)


def stored(tmp_path: Path) -> Layout:
    layout = Layout(tmp_path)
    layout.settings.write_bytes(msgspec.json.encode(SETTINGS))
    return layout


def test_only_what_was_typed_is_a_change() -> None:
    """So that a later `up` without flags goes on with the same."""
    bare = up.options(flags.parse(up.PROGRAM, up.FLAGS, ["--data-dir=/x"]))
    assert (bare.data_dir, bare.install, bare.hollow_nodes, bare.example, bare.changes) == (
        Path("/x"),
        True,
        0,
        True,
        {},
    )
    typed = [
        "--port=7443",
        "--node-name=b",
        "--pod-cidr=10.1.0.0/16",
        "--no-install",
        "--no-example",
        "--hollow-nodes=3",
    ]
    full = up.options(flags.parse(up.PROGRAM, up.FLAGS, typed))
    assert full.changes == {"port": 7443, "node_name": "b", "pod_cidr": "10.1.0.0/16"}
    assert (full.install, full.hollow_nodes, full.example) == (False, 3, False)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--hollow-nodes=1", "--port=0"], "--port=0: want 1 to 65535"),
        (["--hollow-nodes=1", "--port=65536"], "--port=65536: want 1 to 65535"),
        (["--hollow-nodes=-1"], "--hollow-nodes=-1: want 1 or more"),
        (["--hollow-nodes=1", "--pod-cidr=pods"], "--pod-cidr=pods: "),
        (["--hollow-nodes=1", "--pod-cidr=10.1.0.0/30"], "too small"),
        (["--hollow-nodes=1", "--service-cidr=10.244.0.0/20"], "overlap: choose ranges apart"),
        (["--hollow-nodes=1", "--node-name=A_b"], "--node-name=A_b: want lower-case letters"),
    ],
)
def test_settings_of_no_use(
    arguments: list[str], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Refused before anything is started; nothing is stored of them."""
    assert up.main([f"--data-dir={tmp_path}/cluster", *arguments]) == 1
    assert words in capsys.readouterr().err
    assert not Layout(tmp_path / "cluster").settings.exists()


@pytest.mark.parametrize("argument", ["--pod-cidr=10.1.0.0/16", "--service-cidr=10.2.0.0/16", "--node-name=other"])
def test_what_cannot_change(argument: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    layout = stored(tmp_path)
    before = layout.settings.read_bytes()
    assert up.main([f"--data-dir={tmp_path}", "--hollow-nodes=1", argument]) == 1
    errors = capsys.readouterr().err
    assert argument in errors and "which cannot change; start over with `pybernetes down --purge`" in errors
    assert layout.settings.read_bytes() == before


def test_one_up_at_a_time(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stored(tmp_path)
    held = state.hold(tmp_path / "up.lock")
    with open(held, "rb"):
        assert up.main([f"--data-dir={tmp_path}", "--hollow-nodes=1"]) == 1
    assert "another `up` works on" in capsys.readouterr().err


def test_status_of_a_cluster_that_does_not_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """1, by both forms; each line says what is wrong."""
    stored(tmp_path)
    assert status.main([f"--data-dir={tmp_path}"]) == 1
    text = capsys.readouterr().out
    assert "BAD  part" in text and "does not run; start it with `pybernetes up`" in text
    assert status.main([f"--data-dir={tmp_path}", "--json"]) == 1
    lines = json.loads(capsys.readouterr().out)
    assert {k: lines[0][k] for k in ("kind", "name", "ok")} == {"kind": "part", "name": "supervisor", "ok": False}
    assert all(set(line) == {"kind", "name", "ok", "text"} for line in lines)


def test_settings_that_are_damaged(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Layout(tmp_path).settings.write_text("{")
    for command in (status, supervise):
        assert command.main([f"--data-dir={tmp_path}"]) in (1, 2)
        errors = capsys.readouterr().err
        assert errors.count("\n") == 1 and str(tmp_path) in errors


def test_one_supervisor_at_a_time(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    layout = stored(tmp_path)
    held = state.hold(layout.lock)
    with open(held, "rb"):
        assert supervise.main([f"--data-dir={tmp_path}"]) == 1
    assert "has a supervisor already" in capsys.readouterr().err
