"""One plugin: where it is, and what it says of its failure."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from pybernetes.aio.clock import RealClock
from pybernetes.kubelet.network.cni import invocation
from pybernetes.kubelet.network.cni.chain import supported_versions
from pybernetes.kubelet.network.cni.invocation import Ended, PluginError, PluginPrograms, error_of


@pytest.mark.parametrize(
    ("output", "problems", "text", "code", "told"),
    [
        (b"", b"", "netplugin failed with no error message: exit status 1", 0, False),
        (b"", b"a\nb", 'netplugin failed: "a\\nb": exit status 1', 0, False),
        (b'{"code": 7, "msg": "m", "details": "d"}', b"x", "m; d", 7, True),
        (b'{"code": "7", "msg": "m"}', b"", "m", 0, True),
        (b"{}", b"", "", 0, True),
        (b"5", b"", 'netplugin failed but error parsing its diagnostic message "5": it is no object', 0, False),
    ],
)
def test_errors(output: bytes, problems: bytes, text: str, code: int, told: bool) -> None:
    error = error_of(Ended("exit status 1", output, problems))
    assert (str(error), error.code, error.told) == (text, code, told)


@pytest.mark.parametrize(
    ("plugin", "path", "text"),
    [
        ("", ["DIR"], "no plugin name provided"),
        ("../sh", ["DIR"], "invalid plugin name: ../sh"),
        ("bridge", [], "no paths provided"),
        ("absent", ["DIR", "/nowhere"], 'failed to find plugin "absent" in path [DIR /nowhere]'),
        ("folder", ["DIR"], 'failed to find plugin "folder" in path [DIR]'),
        ("a\0b", ["DIR"], "failed to find plugin"),
    ],
)
def test_what_is_not_there(tmp_path: Path, plugin: str, path: Sequence[str], text: str) -> None:
    (tmp_path / "folder").mkdir()
    programs = PluginPrograms([str(tmp_path) if one == "DIR" else one for one in path], RealClock(), tmp_path / "lock")
    with pytest.raises(PluginError) as error:
        programs.find(plugin)
    assert str(error.value).replace(str(tmp_path), "DIR").startswith(text)


@pytest.mark.parametrize(("mode", "text"), [(0o644, "permission denied"), (0o755, "exec format error")])
def test_what_cannot_be_run(tmp_path: Path, mode: int, text: str) -> None:
    program = tmp_path / "plugin"
    program.write_bytes(b"\0not a program")
    program.chmod(mode)
    programs = PluginPrograms([str(tmp_path)], RealClock(), tmp_path / "lock")
    with pytest.raises(PluginError) as error:
        asyncio.run(programs.run(str(program), b"", {}, 60.0))
    assert str(error.value) == f"netplugin failed with no error message: fork/exec {program}: {text}"


def test_a_program_that_is_being_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An agent that installs its plugin makes no pod fail."""
    monkeypatch.setattr(invocation, "BUSY_SECONDS", 0.2)
    program = tmp_path / "plugin"
    program.write_text("#!/bin/sh\necho hello\n")
    program.chmod(0o755)
    programs = PluginPrograms([str(tmp_path)], RealClock(), tmp_path / "lock")
    writing = program.open("a")

    def close_later() -> None:
        time.sleep(0.3)
        writing.close()

    closing = threading.Thread(target=close_later)
    closing.start()
    assert asyncio.run(programs.run(str(program), b"", {}, 60.0)) == b"hello\n"
    closing.join()


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (b'{"cniVersion": "1.0.0", "supportedVersions": ["0.4.0", "1.0.0"]}', ["0.4.0", "1.0.0"]),
        (b'{"cniVersion": "0.2.0"}', ["0.1.0", "0.2.0"]),
        (b'{"cniVersion": "1.0.0"}', None),
        (b"", None),
        (b"[]", None),
        (b'{"supportedVersions": "1.0.0"}', None),
    ],
)
def test_versions(answer: bytes, expected: list[str] | None) -> None:
    if expected is not None:
        assert supported_versions(answer) == expected
    else:
        with pytest.raises(PluginError, match="decoding version info: "):
            supported_versions(answer)
