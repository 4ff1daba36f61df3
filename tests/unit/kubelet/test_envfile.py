"""Variables from files: what a file says, whose file it is, and what a container is told (KEP-3721)."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from pybernetes.api.types import core_v1 as core
from pybernetes.kubelet.hollow import HollowVolumes
from pybernetes.kubelet.machine import config, envfile
from pybernetes.kubelet.runtime.types import RuntimeFailure
from pybernetes.kubelet.volumes.manager import VolumeManager

from .test_volumemanager import Objects

SAID = [
    ("A='x'", "x"),
    ("   A='x'\n", "x"),
    ("# A='no'\n\n  \t\n\tA='x'  # yes\nB='z'", "x"),
    ("B='1'\nA=' x # y '", " x # y "),
    ("A='a=b=c'", "a=b=c"),
    ("A='$HOME ${B} \\n \"q\"'", '$HOME ${B} \\n "q"'),
    ("A='one\n\n # two\nthree '\nB='x'", "one\n\n # two\nthree "),
    ("B='a\nA=no'\nA='yes'", "yes"),
    ("A=''", ""),
    ("A='中文 🌍'", "中文 🌍"),
]


@pytest.mark.parametrize(("text", "value"), SAID)
def test_what_a_file_says(text: str, value: str) -> None:
    assert envfile.value_of(text, "A") == value


@pytest.mark.parametrize(("text", "value"), SAID)
def test_a_shell_reads_the_same(text: str, value: str, tmp_path: Path) -> None:
    shell = shutil.which("sh")
    assert shell is not None
    (tmp_path / "f").write_text(text)
    script = f'. "{tmp_path}/f"; printf %s "$A"'
    assert subprocess.run([shell, "-c", script], capture_output=True, check=True).stdout.decode() == value


def test_the_first_counts() -> None:
    assert envfile.value_of("A='x'\nA='y'\nno", "A") == "x"


@pytest.mark.parametrize("text", ["", "\n\n", "# A='x'", "B='x'", "AB='x'\nBA='y'", "B='\nA=x'", "A.b='x'"])
def test_what_a_file_does_not_say(text: str) -> None:
    assert envfile.value_of(text, "A") is None


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("A", "invalid environment variable format at line 1"),
        ("='x'\nA='y'", "invalid environment variable format at line 1"),
        ("B='x'\n\nno\nA='y'", "invalid environment variable format at line 3"),
        ("B='x\ny'\nno", "invalid environment variable format at line 3"),
        ("A ='x'", "whitespace before '=' is not allowed"),
        ("A= 'x'", "value must be enclosed in single quotes"),
        ("A=x", "value must be enclosed in single quotes"),
        ('A="x"', "value must be enclosed in single quotes"),
        ("A=", "value must be enclosed in single quotes"),
        ("A='x", "unclosed single quote"),
        ("A='x''y'", "unexpected content after closing quote"),
        ("A='x'#", "unexpected content after closing quote"),
        ("B='x\nA='y'", "unexpected content after closing quote"),
    ],
)
def test_what_is_no_such_file(text: str, why: str) -> None:
    with pytest.raises(envfile.Unreadable, match=why):
        envfile.value_of(text, "A")


def test_reading_is_linear() -> None:
    """A megabyte of each construct, which whoever writes into the volume may choose."""
    for part in ("\n", "#\n", "B='x'\n", "B='", " ", "'", "=", "B='\n'\n"):
        text = part * (envfile.MAX_FILE // len(part))
        begun = os.times().user
        with contextlib.suppress(envfile.Unreadable):
            assert envfile.value_of(text, "A") is None
        assert os.times().user - begun < 5


def container(*keys: str, path: str = "dir/vars", optional: bool = False) -> core.Container:
    refs = {key: core.FileKeySelector(volume_name="v", path=path, key=key, optional=optional) for key in keys}
    env = [core.EnvVar(name=key.lower(), value_from=core.EnvVarSource(file_key_ref=ref)) for key, ref in refs.items()]
    return core.Container(name="c", env=[*env, core.EnvVar(name="more", value="$(a)!")])


def variables(files: config.Files, asking: core.Container) -> dict[str, str]:
    return config.environment(core.Pod(), asking, {}, lambda kind, name: None, (), (), {}, files)


def test_variables_of_a_container() -> None:
    files = {("v", "dir/vars"): "A='x'\nB='two\nlines'"}
    assert variables(files, container("A", "B")) == {"a": "x", "b": "two\nlines", "more": "x!"}
    assert variables(files, container("A", "C", optional=True)) == {"a": "x", "more": "x!"}


@pytest.mark.parametrize(
    ("text", "asking", "message"),
    [
        ("B='x'", container("A"), 'environment variable key "A" not found in file "dir/vars"'),
        ("A=x", container("A", optional=True), "couldn't parse env file"),
        (None, container("A", optional=True), "couldn't parse env file"),
        ("", container("A" * 129), f'environment variable key "{"A" * 129}" exceeds maximum length of 128 characters'),
        (
            f"A='{'x' * 32769}'",
            container("A"),
            'environment variable value for key "A" exceeds maximum size of 32KB',
        ),
    ],
)
def test_what_keeps_a_container_from_starting(text: str | None, asking: core.Container, message: str) -> None:
    with pytest.raises(RuntimeFailure) as caught:
        variables({("v", "dir/vars"): text}, asking)
    assert (caught.value.reason, str(caught.value)) == ("CreateContainerConfigError", message)


def test_files_lie_in_the_volume_and_nowhere_else(tmp_path: Path) -> None:
    """Kind: paths that a pod can influence. A link within the volume is followed, one out of it never."""
    manager = VolumeManager(str(tmp_path / "kubelet"), Objects(), lambda: datetime(2026, 1, 1, tzinfo=UTC))
    pod = core.Pod()
    pod.metadata.uid, pod.metadata.name = "u", "p"
    pod.spec.volumes = [core.Volume(name="v", empty_dir=core.EmptyDirVolumeSource())]
    (tmp_path / "outside").write_text("A='secret'")

    async def read(path: str) -> Any:
        return (await manager.env_files(pod, container("A", path=path)))["v", path]

    async def story() -> None:
        await manager.prepare(pod)
        volume = manager.directory(pod, pod.spec.volumes[0])
        (volume / "dir").mkdir()
        (volume / "dir/vars").write_text("A='x'")
        (volume / "within").symlink_to("dir/vars")
        (volume / "out").symlink_to(tmp_path / "outside")
        (volume / "up").symlink_to("../../../../../outside")
        (volume / "folder").symlink_to(tmp_path)
        os.mkfifo(volume / "fifo")
        (volume / "long").write_bytes(b"#" * (envfile.MAX_FILE + 1))
        (volume / "bytes").write_bytes(b"A='\xff'")
        assert await read("dir/vars") == await read("within") == "A='x'"
        for path in ("out", "up", "folder/outside", "fifo", "long", "bytes", "dir", "nobody", "../x", "/etc/passwd"):
            assert await read(path) is None
        assert await manager.env_files(pod, core.Container(name="c")) == {}
        other = core.FileKeySelector(volume_name="w", path="x", key="A")
        with pytest.raises(RuntimeFailure, match='cannot find the volume "w" referenced by FileKeyRef'):
            env = [core.EnvVar(name="A", value_from=core.EnvVarSource(file_key_ref=other))]
            await manager.env_files(pod, core.Container(name="c", env=env))

    asyncio.run(story())


def test_on_hollow_nodes_they_are_empty() -> None:
    files = asyncio.run(HollowVolumes().env_files(core.Pod(), container("A", "B")))
    assert variables(files, container("A", "B")) == {"a": "", "b": "", "more": "!"}
