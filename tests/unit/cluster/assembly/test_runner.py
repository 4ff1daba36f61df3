"""Daemons under the supervisor, for real: put, changed, stopped."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from pybernetes.cluster.assembly.renewal import kept
from pybernetes.cluster.assembly.runner import Supervised
from pybernetes.deploy.daemons.model import Daemon, File


def sleeper(name: str, seconds: int, text: str = "") -> Daemon:
    files = (File(text.partition("=")[0], text.partition("=")[2]),) if text else ()
    return Daemon(name=name, about="sleeps", program="sleep", arguments=(str(seconds),), files=files)


def until(condition: Callable[[], object]) -> None:
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def command(pid: int) -> bytes:
    """Of a process; for a moment after its fork it is the supervisor's."""
    return Path(f"/proc/{pid}/cmdline").read_bytes()


def test_daemons_come_change_and_go(tmp_path: Path) -> None:
    runner = Supervised(tmp_path / "programs.json", tmp_path / "logs")
    file = tmp_path / "made" / "file"
    try:
        runner.put([sleeper("etcd", 600)])
        until(lambda: runner._running().get("etcd"))
        supervisor, etcd = runner.pid(), runner._running()["etcd"]
        runner.put([sleeper("kubelet", 600, f"{file}=one")])
        until(lambda: runner._running().get("kubelet"))
        kubelet = runner._running()["kubelet"]
        assert (runner.pid(), runner._running()["etcd"], file.read_text()) == (supervisor, etcd, "one")
        runner.put([sleeper("kubelet", 600, f"{file}=two")])  # the same command, that reads another file
        until(lambda: runner._running().get("kubelet") not in (0, None, kubelet))
        assert (runner._running()["etcd"], file.read_text()) == (etcd, "two")
        runner.stop(["kubelet"])
        assert not Path(f"/proc/{kubelet}").exists() and runner._running() == {"etcd": etcd}
    finally:
        runner.stop(["etcd", "kubelet"])
    assert not runner.pid() and not (tmp_path / "programs.json").exists()


def test_none_of_many_changes_in_a_row_is_lost(tmp_path: Path) -> None:
    """Each is a signal to the supervisor, which may be reading when the next one comes."""
    runner = Supervised(tmp_path / "programs.json", tmp_path / "logs")
    names = [
        "etcd",
        "kube-apiserver",
        "kube-controller-manager",
        "kube-scheduler",
        "nginx",
        "keepalived",
        "kubelet",
        "flanneld",
    ]
    try:
        for name in names:
            runner.put([sleeper(name, 600)])
        until(lambda: all(runner._running().get(name) for name in names))
    finally:
        runner.stop(names)


def test_a_host_goes_over_to_other_descriptions_and_back(tmp_path: Path) -> None:
    """What would be written is told first; only who is named gets a new process, by the release that describes."""
    runner = Supervised(tmp_path / "programs.json", tmp_path / "logs")
    file = tmp_path / "file"
    try:
        runner.put([sleeper("etcd", 600), sleeper("kubelet", 600, f"{file}=one")])
        until(lambda: runner._running().get("kubelet"))
        first = runner._running()
        assert runner.differences([sleeper("etcd", 600), sleeper("kubelet", 600, f"{file}=one")]) == []
        other = sleeper("kubelet", 500, f"{file}=two")
        shown = [(one.daemon, one.path, one.before, one.after) for one in runner.differences([other])]
        programs = str(tmp_path / "programs.json")
        assert shown == [
            ("kubelet", str(file), "one", "two"),
            ("kubelet", programs, "sleep\n600\n", "sleep\n500\n"),
        ]
        present = kept(runner.described_in(other))
        runner.describe([other])
        assert runner._running() == first and runner.told("kubelet") == ["500"]
        runner.again(["kubelet"])
        second = runner._running()
        assert second["etcd"] == first["etcd"] and second["kubelet"] != first["kubelet"]
        until(lambda: command(second["kubelet"]) == b"sleep\x00500\x00")
        present.put_back()
        runner.again(["kubelet"])
        third = runner._running()
        until(lambda: command(third["kubelet"]) == b"sleep\x00600\x00")
        assert (third["etcd"], file.read_text()) == (first["etcd"], "one")
    finally:
        runner.stop(["etcd", "kubelet"])
