"""The shell scripts, by a real shell: they ask and write on this machine, in a folder of the test."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from pybernetes.deploy.daemons.model import Check, File
from pybernetes.deploy.rollout import actions, facts
from pybernetes.deploy.rollout.facts import FactsError, Present, Question


def shell(script: str, data: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(["sh", "-euc", script], input=data, capture_output=True, text=True, timeout=30)


def test_a_host_is_asked(tmp_path: Path) -> None:
    file = tmp_path / "with space.conf"
    file.write_text("é\nlast line without an end")
    file.chmod(0o640)
    plain = tmp_path / "plain"
    plain.write_text("")
    question = Question(
        "127.0.0.1", ["sh", "/bin/sh", "no-such-program"], [str(plain), str(tmp_path / "none")], ["no-unit"]
    )
    done = shell(question.script())
    assert done.returncode == 0, done.stderr
    found = facts.read(done.stdout)
    assert found.programs == {"sh", "/bin/sh"}
    assert found.files == {str(plain): Present("", plain.stat().st_mode & 0o777)}
    assert found.machine and found.active == frozenset() and found.nodes is None and not found.joined


def test_an_answer_that_is_cut_off_is_none() -> None:
    with pytest.raises(FactsError, match="did not answer to the end"):
        facts.read("machine - x86_64\n")
    with pytest.raises(FactsError, match="/etc/a"):
        facts.read("file /etc/a 644 %%%\nend - -\n")


def test_what_init_remembers() -> None:
    import base64
    import json

    def read(content: object) -> facts.Facts:
        text = base64.b64encode(json.dumps(content).encode()).decode()
        return facts.read(f"file {facts.HOST_STATE} 600 {text}\nend - -\n")

    begun = {"command": "init", "runWith": "systemd", "nodeName": "a", "controlPlane": True}
    assert not read(begun).joined and read(begun).node_name == "a"
    found = read({**begun, "complete": True})
    assert (found.joined, found.run_with, found.control_plane, found.files) == (True, "systemd", True, {})
    assert not read([]).joined


@pytest.mark.parametrize("text", ["", "a\n", "END\nEND-\n$HOME `id` \\ 'quoted'\n", "x" * 100_000 + "\n"])
def test_a_file_is_written_as_it_is(tmp_path: Path, text: str) -> None:
    path = tmp_path / "new folder" / "it's.conf"
    for _ in range(2):  # again is the same
        done = shell(actions.written(File(str(path), text, 0o640)))
        assert done.returncode == 0, done.stderr
    assert path.read_text() == (text or "\n") and path.stat().st_mode & 0o777 == 0o640
    assert [other.name for other in path.parent.iterdir()] == ["it's.conf"]


def test_the_file_of_a_join_is_its_owners_and_does_not_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "run" / "join.yaml"
    monkeypatch.setattr(actions, "RUN_JOIN", str(path))
    seen = tmp_path / "seen"
    program = f"sh -c 'stat -c %a {path} >{seen}; cat {path} >>{seen}; umask >>{seen}; exit 3'"
    done = shell(actions.Join(False, "", (), program).script(), "secret\n")
    assert done.returncode == 3 and not path.exists()
    mode, text, mask = seen.read_text().split()
    assert (mode, text) == ("600", "secret") and mask != "0077", "what join writes is for others to read"


def test_who_is_not_well_is_told() -> None:
    done = shell(actions.well("a-daemon", Check(address="127.0.0.1:1"), 0))
    assert done.returncode == 1 and "a-daemon is not well after 0 s" in done.stderr


@pytest.mark.parametrize(
    ("check", "words"),
    [
        (Check(address="[::1]:6443"), "timeout 3 bash -c '</dev/tcp/::1/6443' 2>/dev/null"),
        (Check(url="http://127.0.0.1:1/a"), "curl -fs --max-time 3 --output /dev/null --insecure http://127.0.0.1:1/a"),
        (
            Check(url="https://h/a", authority="/ca"),
            "curl -fs --max-time 3 --output /dev/null --cacert /ca https://h/a",
        ),
    ],
)
def test_how_a_daemon_is_asked(check: Check, words: str) -> None:
    assert actions.probe(check) == words


def test_an_older_installation_goes_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "opt"
    for name in ("PENDING", "BROUGHT"):
        monkeypatch.setattr(actions, name, str(home / name.lower()) if name == "PENDING" else str(home))
    (home / "mine").mkdir(parents=True)
    archive = subprocess.run(["tar", "-cz", "-C", str(home / "mine"), "."], capture_output=True, check=True).stdout
    for letter in "abc":
        script = actions.Bring(letter * 64, ("kubelet",)).script()
        script = script[: script.index("ln -sf /")] if "ln -sf /" in script else script
        script = script.partition(f"ln -sf {home}")[0]
        done = subprocess.run(["sh", "-euc", script], input=archive, capture_output=True, timeout=30)
        assert done.returncode == 0, done.stderr
    assert (home / "current").resolve() == home / ("c" * 12)
    assert sorted(path.name for path in home.iterdir()) == ["b" * 12, "c" * 12, "current", "mine", "pending"]
    assert (home / "pending" / "kubelet").exists()
