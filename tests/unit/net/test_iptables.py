"""The runner against programs of the test's own: what they are called with, and what their exit codes mean."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from pybernetes.net.iptables import IPTables, version_of
from pybernetes.net.programs import ProgramError

RULE = ("-j", "X")


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Each program writes its arguments and its input here, and ends with the code of a file named as its action, if there is one."""
    log = tmp_path / "calls"
    for name in ("iptables", "iptables-restore"):
        program = tmp_path / name
        program.write_text(
            f'#!/bin/sh\necho "$@" >>{log}\n[ {name} = iptables-restore ] && cat >>{log}\n'
            f'for word in "$@"; do [ -f "{tmp_path}/code$word" ] && {{ echo refused >&2; exit $(cat "{tmp_path}/code$word"); }}; done\n'
            "exit 0\n"
        )
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    return log


def exits(calls: Path, action: str, code: int) -> None:
    (calls.parent / f"code{action}").write_text(str(code))


def test_a_rule_that_is_there_stays(calls: Path) -> None:
    asyncio.run(IPTables().ensure_first("nat", "OUTPUT", RULE))
    assert calls.read_text() == "-w 5 -t nat -C OUTPUT -j X\n"


@pytest.mark.parametrize("code", [1, 2])  # no such rule; no such chain to jump to
def test_a_rule_that_is_missing_becomes_the_first(calls: Path, code: int) -> None:
    exits(calls, "-C", code)
    asyncio.run(IPTables().ensure_first("nat", "OUTPUT", RULE))
    assert calls.read_text().splitlines()[1] == "-w 5 -t nat -I OUTPUT 1 -j X"


def test_a_lock_that_is_held_is_no_missing_rule(calls: Path) -> None:
    exits(calls, "-C", 4)
    with pytest.raises(ProgramError, match=r"-C OUTPUT -j X failed \(4\): refused"):
        asyncio.run(IPTables().ensure_first("nat", "OUTPUT", RULE))


def test_what_is_gone_is_no_error_to_delete(calls: Path) -> None:
    exits(calls, "-D", 1)
    exits(calls, "-F", 1)
    asyncio.run(IPTables().delete("nat", "OUTPUT", RULE))
    asyncio.run(IPTables().delete_chain("nat", "X"))
    assert [line.split()[4] for line in calls.read_text().splitlines()] == ["-D", "-F"]


def test_restore_reads_its_input_and_keeps_the_rest(calls: Path) -> None:
    asyncio.run(IPTables().restore("*nat\nCOMMIT\n"))
    assert calls.read_text() == "-w 5 --noflush\n*nat\nCOMMIT\n"


def test_a_program_that_is_missing_says_what_to_do(calls: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(ProgramError, match="is its package installed"):
        asyncio.run(IPTables().save())


def test_versions() -> None:
    assert version_of("iptables v1.8.9 (nf_tables)") == (1, 8, 9)
    assert version_of("iptables v1.6.1") < (1, 6, 2)
    assert version_of("nothing") == (0,)
