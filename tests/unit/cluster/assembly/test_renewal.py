"""A host's daemons go over to other descriptions, or all back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from pybernetes.cluster.assembly import hoststate
from pybernetes.cluster.assembly.hoststate import HostState
from pybernetes.cluster.assembly.renewal import renew
from pybernetes.cluster.assembly.runner import RunError
from pybernetes.cluster.assembly.work import Work
from pybernetes.component.command import Failure
from pybernetes.deploy import layout, types
from pybernetes.deploy.configuration import Configuration
from pybernetes.deploy.daemons.model import Daemon, Host
from pybernetes.deploy.upgradeplan import Difference


@dataclass
class FakeRunner:
    """A file for each daemon in a folder, with its argument; `fails`: arguments that nothing starts with; `releases`: who is pinned."""

    folder: Path
    did: list[str] = field(default_factory=list)
    fails: frozenset[str] = frozenset()
    releases: frozenset[str] = frozenset()

    def path(self, name: str) -> Path:
        return self.folder / name

    def put(self, daemons: Sequence[Daemon]) -> None:
        raise AssertionError("an upgrade describes, and starts one after the other")

    def restart(self, name: str) -> None:
        raise AssertionError("an upgrade waits for the new process")

    def stop(self, names: Sequence[str]) -> None:
        self.did += [f"stop {name}" for name in names]

    def told(self, name: str) -> Sequence[str]:
        return ()

    def differences(self, daemons: Sequence[Daemon]) -> Sequence[Difference]:
        texts = {one.name: self.path(one.name).read_text() if self.path(one.name).exists() else "" for one in daemons}
        return [
            Difference(one.name, str(self.path(one.name)), texts[one.name], one.arguments[0])
            for one in daemons
            if texts[one.name] != one.arguments[0]
        ]

    def described_in(self, daemon: Daemon) -> Sequence[Path]:
        return [self.path(daemon.name)]

    def describe(self, daemons: Sequence[Daemon]) -> None:
        for one in daemons:
            self.path(one.name).write_text(one.arguments[0])

    def again(self, names: Sequence[str]) -> None:
        for name in names:
            text = self.path(name).read_text()
            self.did.append(f"{name} {text}")
            if text in self.fails:
                raise RunError(f"{name} does not start")

    def pinned(self, name: str) -> bool:
        return name in self.releases


def daemon(name: str, argument: str, ours: bool = True) -> Daemon:
    return Daemon(name=name, about="", program=name, arguments=(argument,), ours=ours)


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Work:
    """A host on which etcd, API server and scheduler run as `old` says."""
    monkeypatch.setattr(hoststate, "FOLDER", tmp_path / "state")
    monkeypatch.setattr(hoststate, "FILE", tmp_path / "state/host.json")
    names = ["etcd", "kube-apiserver", "kube-scheduler"]
    for name in names:
        (tmp_path / name).write_text("old")
    state = HostState(command="init", run_with="supervisor", node_name="m1", address="10.0.0.11", daemons=names)
    nothing = Configuration(types.InitConfiguration(), types.ClusterConfiguration())
    return Work(nothing, layout.FOREIGN, Host("m1", "10.0.0.11"), FakeRunner(tmp_path), state, lambda line: None)


def did(work: Work) -> list[str]:
    assert isinstance(work.runner, FakeRunner)
    return work.runner.did


def test_one_after_the_other_in_the_order_of_their_start(work: Work) -> None:
    """Others' programs only where their description differs: ours may be of another release however they are described."""
    asked: list[str] = []
    daemons = [daemon("kube-scheduler", "old"), daemon("kube-apiserver", "new"), daemon("etcd", "old", ours=False)]
    renew(work, "x", daemons, 1.0, lambda one: asked.append(one.name))
    assert did(work) == ["kube-apiserver new", "kube-scheduler old"]
    assert asked == ["kube-apiserver", "kube-scheduler"]


def test_what_says_of_which_release_it_is_runs_on_where_it_is_described_alike(work: Work) -> None:
    assert isinstance(work.runner, FakeRunner)
    work.runner.releases = frozenset({"kube-apiserver", "kube-scheduler"})
    renew(work, "x", [daemon("kube-scheduler", "old"), daemon("kube-apiserver", "new")], 1.0)
    assert did(work) == ["kube-apiserver new"]


@pytest.mark.parametrize("fault", ["does not start", "is not what it should be"])
def test_all_go_back_where_one_fails(work: Work, fault: str, tmp_path: Path) -> None:
    assert isinstance(work.runner, FakeRunner)
    work.runner.fails = frozenset({"bad"} if fault == "does not start" else ())

    def judge(one: Daemon) -> None:
        if one.arguments == ("bad",):
            raise Failure(f"{one.name} is not what it should be")

    daemons = [daemon("etcd", "new", ours=False), daemon("kube-apiserver", "bad"), daemon("kube-scheduler", "new")]
    with pytest.raises(
        Failure, match=f"kube-apiserver {fault}; rolled back: etcd, kube-apiserver run with the files before"
    ):
        renew(work, "x", daemons, 1.0, judge)
    assert did(work) == ["etcd new", "kube-apiserver bad", "kube-apiserver old", "etcd old"]
    assert {name: (tmp_path / name).read_text() for name in work.state.daemons} == dict.fromkeys(
        work.state.daemons, "old"
    )


def test_what_cannot_go_back_is_said(work: Work) -> None:
    assert isinstance(work.runner, FakeRunner)
    work.runner.fails = frozenset({"bad", "old"})
    with pytest.raises(
        Failure, match="does not start; with the files before kube-apiserver: kube-apiserver does not start"
    ):
        renew(work, "x", [daemon("kube-apiserver", "bad")], 1.0)


def test_a_part_that_is_new_on_the_host_is_remembered_or_gone(work: Work, tmp_path: Path) -> None:
    renew(work, "x", [daemon("flanneld", "new")], 1.0)
    assert hoststate.load() == work.state and "flanneld" in work.state.daemons

    def judge(one: Daemon) -> None:
        raise Failure("no")

    with pytest.raises(Failure, match="no; rolled back: kube-proxy is gone again"):
        renew(work, "x", [daemon("kube-proxy", "new")], 1.0, judge)
    assert did(work)[-2:] == ["kube-proxy new", "stop kube-proxy"]
    assert "kube-proxy" not in work.state.daemons and not (tmp_path / "kube-proxy").exists()
    assert hoststate.load() == work.state
