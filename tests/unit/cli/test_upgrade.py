"""What `upgrade` says before it asks any cluster."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import pytest

from pybernetes import files
from pybernetes.cli.main import main
from pybernetes.cluster.assembly import hoststate
from pybernetes.cluster.assembly.hoststate import HostState


def state(complete: bool = True, control_plane: bool = True) -> HostState:
    return HostState(
        command="init" if control_plane else "join",
        run_with="supervisor",
        node_name="m1",
        address="10.0.0.11",
        complete=complete,
        control_plane=control_plane,
    )


@pytest.mark.parametrize(
    ("present", "arguments", "code", "words"),
    [
        (None, "plan", 1, "`pybernetes init` or `join` come first"),
        (state(complete=False), "apply --yes", 1, "`init` has not come to its end on this host: run it again"),
        (state(control_plane=False), "plan", 1, "this host is a worker: ask on a control-plane host"),
        (state(control_plane=False), "apply --yes", 1, "`pybernetes upgrade node` is for it"),
        (state(), "apply stable --yes", 2, "'stable' is no version: want one such as v1.37.0"),
        (state(), "apply --backup-dir=here --yes", 2, "--backup-dir=here: want an absolute path"),
        (state(), "apply a b", 2, "accepts at most 1 arg(s), received 2"),
        (state(), "diff", 2, 'invalid subcommand "diff"'),
    ],
)
def test_what_cannot_be_begun(
    present: HostState | None,
    arguments: str,
    code: int,
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(hoststate, "FILE", tmp_path / "host.json")
    if present is not None:
        (tmp_path / "host.json").write_bytes(msgspec.json.encode(present))
    assert main(["upgrade", *arguments.split()]) == code
    assert words in capsys.readouterr().err


def test_two_at_a_time_are_one_too_many(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(hoststate, "FILE", tmp_path / "host.json")
    monkeypatch.setattr(hoststate, "FOLDER", tmp_path)
    (tmp_path / "host.json").write_bytes(msgspec.json.encode(state()))
    lock = files.hold(tmp_path / "upgrade.lock")
    try:
        assert main(["upgrade", "node"]) == 1
    finally:
        os.close(lock)
    assert f"another upgrade is at work on this host (process {os.getpid()})" in capsys.readouterr().err


def test_only_root_upgrades(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert main(["upgrade", "node"]) == 1
    assert "run it with sudo" in capsys.readouterr().err
