"""What the documentation tells to type works."""

import importlib
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pybernetes.cli.main import COMMANDS
from pybernetes.component import flags

ROOT = Path(__file__).parents[2]


def test_python_of_the_readme_runs() -> None:
    if shutil.which("kubectl") is None:
        pytest.skip("kubectl is not installed")
    (block,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.S)
    done = subprocess.run([sys.executable, "-c", block], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "kube-system" in done.stdout


def commands() -> list[list[str]]:
    """Every `pybernetes COMMAND ...` of the documentation's blocks."""
    found = []
    for document in (ROOT / "README.md", ROOT / "CONTRIBUTING.md"):
        for block in re.findall(r"^```\w*\n(.*?)^```$", document.read_text(), re.S | re.M):
            for line in block.splitlines():
                if line.startswith(".venv/bin/pybernetes "):
                    found.append(line.partition("#")[0].split()[1:])
    return found


def test_there_are_commands_to_check() -> None:
    assert ["testserver", "--json", "--controllers=all", "--scheduler", "--hollow-nodes=3"] in commands()


@pytest.mark.parametrize("command", commands(), ids=" ".join)
def test_commands_of_the_documentation_are_understood(command: list[str]) -> None:
    """Those that end by themselves run; of the others the flags are read. `up` and its kin run in tests/up."""
    assert command[0] in COMMANDS
    if "--help" in command or command[0] == "version":
        done = subprocess.run(
            [sys.executable, "-m", "pybernetes", *command], capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout
    else:
        module = importlib.import_module(COMMANDS[command[0]][0])
        flags.parse(command[0], module.FLAGS, [word for word in command[1:] if word.startswith("--")])


def test_links_lead_somewhere() -> None:
    for document in (*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("benchmarks/*.md")):
        for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", document.read_text()):
            assert (document.parent / target).exists(), f"{document.name}: {target}"


def test_generated_files_are_up_to_date() -> None:
    done = subprocess.run([sys.executable, "tools/update_api.py", "--check"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
