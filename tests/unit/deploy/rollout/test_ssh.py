"""What is said where ssh cannot run a command, and how it is called."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from pybernetes.deploy.rollout.clusterfile import SSH
from pybernetes.deploy.rollout.ssh import Connections, Unreachable, arguments, explained

ROOT, PERSON = SSH(address="10.0.0.1"), SSH(address="10.0.0.1", user="ann", port=2222)


@pytest.mark.parametrize(
    ("ssh", "code", "errors", "words"),
    [
        (ROOT, 0, "", ""),
        (ROOT, 1, "Permission denied", ""),  # the command's own words
        (
            ROOT,
            255,
            "No ED25519 host key is known for 10.0.0.1 and you have requested strict checking.\nHost key verification failed.",
            "10.0.0.1, port 22: its host key is not known here: log in once by `ssh`",
        ),
        (
            ROOT,
            255,
            "@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @\nHost key verification failed.",
            "it has another host key than the one that is known",
        ),
        (
            PERSON,
            255,
            "ann@10.0.0.1: Permission denied (publickey).",
            "10.0.0.1, port 2222: permission denied to ann: `ssh-copy-id ann@10.0.0.1`",
        ),
        (ROOT, 255, "ssh: connect to host 10.0.0.1 port 22: Connection refused", "not reachable: ssh: connect to host"),
        (ROOT, 255, "ssh: Could not resolve hostname a: Name or service not known", "not reachable"),
        (ROOT, 255, "kex_exchange_identification: read", "ssh ended: kex_exchange_identification: read"),
        (ROOT, 255, "", "ssh ended: without a word"),
        (PERSON, 1, "sudo: a password is required", "ann may not become root by sudo without a password"),
        (PERSON, 127, "sh: 1: sudo: not found", "there is no sudo: install it, or log in as root"),
    ],
)
def test_why_no_command_ran(ssh: SSH, code: int, errors: str, words: str) -> None:
    said = explained(code, errors, ssh)
    assert words in said and bool(words) == bool(said)


def test_the_command_line() -> None:
    words = arguments(SSH(address="10.0.0.1", user="ann", port=2222, key="/keys/a"), "/run/c")
    assert words[-1] == "10.0.0.1" and "BatchMode=yes" in words
    for option, value in (("-p", "2222"), ("-l", "ann"), ("-i", "/keys/a")):
        assert words[words.index(option) + 1] == value
    assert not {"-p", "-l", "-i"} & set(arguments(SSH(address="10.0.0.1"), "/run/c"))


def test_a_host_by_a_program_that_stands_for_ssh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "ssh"
    program.write_text('#!/bin/sh\nfor last; do :; done\ncase " $* " in *" -O "*) exit 0;; esac\neval "exec $last"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")

    async def work() -> None:
        connections = Connections()
        try:
            host = connections.host("a", "10.0.0.1", SSH(), SSH())
            result = await host.run('wc -c; echo "it\'s" >&2; false; echo not', b"x" * 300_000)
            assert (result.code, result.output.strip(), result.errors.strip()) == (1, "300000", "it's")
            assert (await host.run("exit 0", b"x" * 300_000)).code == 0  # who does not read
            with pytest.raises(TimeoutError):
                await host.run("exec sleep 60", seconds=0.2)
            with pytest.raises(Unreachable, match="ssh ended: gone"):
                await host.run("echo gone >&2; exit 255")
        finally:
            await connections.close()

    asyncio.run(work())


def test_who_is_not_root_becomes_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, text in (
        ("ssh", 'for last; do :; done\neval "exec $last"'),
        ("sudo", 'echo "sudo $1"; shift; exec "$@"'),
    ):
        program = tmp_path / name
        program.write_text(f"#!/bin/sh\n{text}\n")
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")

    async def work() -> None:
        connections = Connections()
        try:
            host = connections.host("a", "10.0.0.1", SSH(), SSH(user="ann"))
            assert (await host.run("echo it\\'s; cat", b"in")).output == "sudo -n\nit's\nin"
        finally:
            await connections.close()

    asyncio.run(work())


def test_there_is_no_ssh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    async def work() -> None:
        connections = Connections()
        try:
            with pytest.raises(Unreachable, match="install openssh-client"):
                await connections.host("a", "10.0.0.1", SSH(), SSH()).run("true")
        finally:
            await connections.close()

    asyncio.run(work())
