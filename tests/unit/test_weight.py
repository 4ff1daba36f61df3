"""What `pip install pybernetes` puts onto a disk, for a test suite that wants nothing else."""

from __future__ import annotations

import importlib.metadata
import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
MOST = 70e6
COMPILED = 2.9  # source and bytecode of our modules, together, by their source


def name_of(requirement: str) -> str:
    return re.split(r"[\s\[<>=!~(;]", requirement.strip())[0].lower()


def requirements() -> set[str]:
    """The distributions that are installed without any extra."""
    left = [name_of(text) for text in tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]]
    names: set[str] = set()
    while left:
        name = left.pop()
        if name not in names:
            names.add(name)
            left += [
                name_of(t) for t in importlib.metadata.requires(name) or () if "extra ==" not in t and ";" not in t
            ]
    return names


def size(name: str) -> int:
    """Bytes of a distribution's files, its bytecode included where it was compiled."""
    paths = [Path(str(file.locate())) for file in importlib.metadata.files(name) or ()]
    return sum(path.stat().st_size for path in paths if path.exists())


def test_a_test_suite_weighs_little() -> None:
    sizes = {name: size(name) for name in requirements()}
    assert not {"numpy", "rich", "pyroute2"} & set(sizes)
    package = ROOT / "src/pybernetes"
    ours = sum(path.stat().st_size for path in package.rglob("*.py")) * COMPILED
    data = sum(path.stat().st_size for path in (package / "api/data").iterdir())
    assert min(sizes.values()) > 0
    assert sum(sizes.values()) + ours + data < MOST, sizes
