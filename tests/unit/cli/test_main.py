"""Every command: --help, unknown flags, values that are none, and which exit codes they end with."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

from pybernetes import __version__
from pybernetes.cli.main import COMMANDS, main

PARTS = ["kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy", "flanneld", "coredns"]

FOREIGN = {"mk-docker-opts", "flannel-cni"}  # speak as the programs that they stand for, and have tests of their own
OWN = [command for command in COMMANDS if command not in FOREIGN]
GROUPS = (
    "config",
    "init",
    "token",
    "certs",
    "kubeconfig",
    "store",
    "etcd",
    "node",
    "upgrade",
)  # which have commands of their own
WORDS = ("envtest-assets", "logs", "backup", "restore", "deploy", "join")  # which take words beside flags


def test_all_commands_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    told = capsys.readouterr().out
    assert [line.split()[0] for line in told.splitlines() if line.startswith("  ")] == list(COMMANDS)


@pytest.mark.parametrize("asked", ["-h", "--help", "help"])
def test_ways_to_ask_for_help(asked: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([asked]) == 0
    assert "Usage: pybernetes COMMAND" in capsys.readouterr().out


def test_nothing_is_no_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert "Usage:" in capsys.readouterr().out


@pytest.mark.parametrize("word", ["", "nothing", "--json", "UP", "kube-api-server", "up "])
def test_what_is_no_command(word: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([word]) == 2
    assert capsys.readouterr() == ("", f"pybernetes: there is no command {word!r}; see pybernetes --help\n")


@pytest.mark.parametrize("command", OWN)
def test_help_of_a_command(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    """On stdout, with every flag, its kind and the default; nothing is started for it."""
    assert main([command, "--help"]) == 0
    output, errors = capsys.readouterr()
    assert output.startswith(f"Usage:\n  pybernetes {command}") and errors == ""
    module = importlib.import_module(COMMANDS[command][0])
    for flag in getattr(module, "FLAGS", ()):
        assert re.search(rf"^  (-., )?--{re.escape(flag.name)}( |$)", output, re.M)


@pytest.mark.parametrize("command", OWN)
@pytest.mark.parametrize("flag", ["--nothing", "--nothing=1", "--no-such-flag=a,b"])
def test_an_unknown_flag_of_a_command(command: str, flag: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command, flag]) == 2
    output, errors = capsys.readouterr()
    name = flag.partition("=")[0]
    assert output == "" and errors.count("\n") == 1
    assert errors.startswith(f"pybernetes {command}") and f"unknown flag: {name} (see pybernetes {command}" in errors


@pytest.mark.parametrize("command", sorted(set(OWN) - {*WORDS, *GROUPS}))
def test_a_word_too_many(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command, "word"]) == 2
    assert "it takes flags only" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("command", "arguments", "words"),
    [
        ("up", ["--port=x"], 'invalid argument "x" for "--port" flag: '),
        ("up", ["--port"], "flag needs an argument: --port"),
        ("up", ["--no-install=perhaps"], 'invalid argument "perhaps" for "--no-install" flag: '),
        ("down", ["--purge=2"], 'invalid argument "2" for "--purge" flag: '),
        ("logs", ["--tail=all", "kubelet"], 'invalid argument "all" for "--tail" flag: '),
        ("kube-apiserver", ["--secure-port=https"], 'invalid argument "https" for "--secure-port" flag: '),
        ("kube-controller-manager", ["--node-monitor-period=5"], '"--node-monitor-period" flag: '),
        ("kube-controller-manager", ["--feature-gates=A"], '"--feature-gates" flag: '),
        ("kube-scheduler", ["--leader-elect=maybe"], '"--leader-elect" flag: '),
        ("kubelet", ["--max-pods=many"], '"--max-pods" flag: '),
        ("kube-proxy", ["--cleanup=x"], '"--cleanup" flag: '),
        ("flanneld", ["-iptables-resync=x"], '"--iptables-resync" flag: '),
        ("coredns", ["-dns.port=x"], '"--dns.port" flag: '),
    ],
)
def test_a_value_that_is_none(
    command: str, arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([command, *arguments]) == 2
    output, errors = capsys.readouterr()
    assert output == "" and words in errors and errors.count("\n") == 1


@pytest.mark.parametrize(
    ("command", "flags", "words"),
    [
        ("kube-apiserver", ["--tls-cert-file=/nothing"], "--tls-"),
        ("kube-controller-manager", ["--kubeconfig=/nothing"], "/nothing"),
        ("kube-controller-manager", ["--controllers=nothing"], '"nothing" is not in the list of known controllers'),
        ("kube-scheduler", ["--config=/nothing"], "/nothing"),
        ("kube-scheduler", ["--kubeconfig=/nothing"], "/nothing"),
        ("kubelet", [], "--kubeconfig is required"),
        ("kubelet", ["--kubeconfig=/nothing"], "/nothing"),
        ("kubelet", ["--kubeconfig=/x", "--runtime=rkt"], "--runtime=rkt: it is docker or hollow"),
        ("kubelet", ["--kubeconfig=/x", "--authorization-mode=ABAC"], "--authorization-mode=ABAC: it is"),
        ("kubelet", ["--kubeconfig=/x", "--tls-cert-file=/y"], "are given together or not at all"),
        ("kube-proxy", ["--kubeconfig=/nothing"], "/nothing"),
        ("kube-proxy", ["--config=/nothing"], "/nothing"),
        ("flanneld", ["--etcd-endpoints=nothing"], "--etcd-endpoints"),
        (
            "flanneld",
            ["--kube-subnet-mgr", "--net-config-path=/nothing"],
            "failed to read net conf: open /nothing: No such file",
        ),
        ("image", [], "give one of --output, the file to write, and --load"),
        ("image", ["--output=x", "--load"], "give one of --output"),
        ("image", ["--output=/nothing/x"], "No such file or directory"),
        ("coredns", ["-conf", "/nothing"], "-conf /nothing: there is no such file"),
    ],
)
def test_what_a_part_cannot_serve_with(
    command: str, flags: list[str], words: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """Exit code 1 or 2, one line that names flag or file, no traceback."""
    assert main([command, *flags]) in (1, 2)
    errors = [line for line in capfd.readouterr().err.splitlines() if line.startswith(f"pybernetes {command}: ")]
    assert len(errors) == 1 and words in errors[0]


@pytest.mark.parametrize("command", ["status", "logs", "supervise"])
def test_no_cluster(command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command, f"--data-dir={tmp_path}"]) in (1, 2)
    output, errors = capsys.readouterr()
    assert output == "" and str(tmp_path) in errors and errors.count("\n") == 1


def test_nothing_to_take_down(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Repeatable: what is not there is no failure."""
    assert main(["down", f"--data-dir={tmp_path}"]) == 0
    assert f"no cluster in {tmp_path}" in "".join(capfd.readouterr())


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["version"]) == 0
    assert capsys.readouterr() == (f"pybernetes {__version__}\n", "")
