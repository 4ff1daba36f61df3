"""docs/testing.md does what it says: its Python and ini blocks are a run of pytest, its commands a shell script."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pybernetes.testing.httpapi import PATHS

from .test_kube import SECONDS

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "testing.md").read_text()
PLUGIN = "pybernetes.pytestplugin"


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.S | re.M)


def test_python(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    for number, block in enumerate(blocks("python")):
        (tmp_path / f"test_block_{number}.py").write_text(block)
    (ini,) = blocks("ini")
    (tmp_path / "pytest.ini").write_text(ini)
    (tmp_path / "crds").mkdir()
    shutil.copy(ROOT / "examples/operators/greeter/crd.yaml", tmp_path / "crds")
    plugin = () if request.config.pluginmanager.has_plugin("pybernetes") else ("-p", PLUGIN)
    missing = [name for name in ("kubernetes_asyncio", "kr8s") if importlib.util.find_spec(name) is None]
    chosen = ["-k", " and ".join(f"not test_{name}" for name in missing)] if missing else []
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        *chosen,
        "-p",
        "no:cacheprovider",
        "-p",
        "no:xdist",
        "-W",
        "error",
        *plugin,
    ]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=4 * SECONDS)
    assert done.returncode == 0, done.stdout
    tests = sum(block.count("def test_") for block in blocks("python")) - len(missing)
    assert tests > 10 and f"{tests} passed" in done.stdout


def test_commands(tmp_path: Path) -> None:
    for needed in ("curl", "bash"):
        if shutil.which(needed) is None:
            pytest.skip(f"{needed} is not installed")
    script = "".join(blocks("sh"))
    bin = tmp_path / "commands"
    bin.mkdir()
    (bin / "pybernetes").write_text(f'#!/bin/sh\nexec {sys.executable} -m pybernetes "$@"\n')
    (bin / "pybernetes").chmod(0o755)
    environment = {**os.environ, "PATH": f"{bin}:{os.environ['PATH']}"}
    done = subprocess.run(
        ["bash", "-euc", script], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=2 * SECONDS
    )
    assert done.returncode == 0, done.stderr
    called = set(re.findall(r"^ask (\w+ [a-z]+)", script, re.M))
    assert called == {path.partition("/")[0] for path in PATHS} - {"GET "}, "every call that there is"
    assert '"hits": 0' in done.stdout and '{"id": "1"}' in done.stdout and (tmp_path / "admin.conf").exists()
    assert "--etcd-servers" in (tmp_path / "flags.txt").read_text()
