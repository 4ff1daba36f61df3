"""The JavaScript and Java of docs/testing.md, as a reader would run them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = (Path(__file__).parents[2] / "docs" / "testing.md").read_text()
SECONDS = 500.0  # of a machine that is busy, and fetches
PACKAGE = '{"type": "module", "private": true}'
JUNIT = Path("/usr/share/java/junit-platform-console-standalone.jar")  # Debian's junit5


def write_files(language: str, comment: str, folder: Path) -> None:
    """The page's blocks of a language, each to the file that its first line names."""
    blocks = re.findall(rf"^```{language}\n{comment} (\S+)\n(.*?)^```$", PAGE, re.S | re.M)
    assert blocks
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in blocks:
        (folder / name).write_text(text)


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """With `pybernetes` on the PATH."""
    commands = tmp_path / "commands"
    commands.mkdir()
    (commands / "pybernetes").write_text(f'#!/bin/sh\nexec {sys.executable} -m pybernetes "$@"\n')
    (commands / "pybernetes").chmod(0o755)
    return {**os.environ, "PATH": f"{commands}:{os.environ['PATH']}", "NO_PROXY": "127.0.0.1,localhost"}


def run(command: list[str], folder: Path, environment: dict[str, str], *, fetches: bool = False) -> str:
    """Its output. A registry that cannot be reached skips the test."""
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=SECONDS)
    if done.returncode and fetches:
        pytest.skip(f"{' '.join(command)}: {(done.stderr or done.stdout).strip()[-300:]}")
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_javascript(tmp_path: Path, environment: dict[str, str]) -> None:
    if shutil.which("npm") is None:
        pytest.skip("node and npm are not installed")
    folder = tmp_path / "js"
    write_files("js", "//", folder)
    (folder / "package.json").write_text(PACKAGE)
    version = run(["node", "--version"], folder, environment)
    package = "@kubernetes/client-node" if int(version.lstrip("v").split(".")[0]) >= 22 else "@kubernetes/client-node@1"
    run(["npm", "install", "--no-audit", "--no-fund", package], folder, environment, fetches=True)
    told = run(["node", "--test"], folder, environment)
    assert "pass 2" in told and "fail 0" in told


def test_java(tmp_path: Path, environment: dict[str, str]) -> None:
    if shutil.which("javac") is None or not JUNIT.exists():
        pytest.skip("a JDK and junit5 are not installed")
    folder = tmp_path / "java"
    write_files("java", "//", folder)
    run(["javac", "-cp", str(JUNIT), *(path.name for path in folder.glob("*.java"))], folder, environment)
    console = ["java", "-jar", str(JUNIT), "--class-path", ".", "--scan-class-path", "--disable-banner"]
    told = run(console, folder, environment)
    assert "[         2 tests successful      ]" in told and "[         0 tests failed          ]" in told
