"""What a machine lacks that has `pip install pybernetes` alone. As a pytest plug-in (`-p tests.without`): numpy."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

NUMPY = "numpy"


class Absent(MetaPathFinder):
    """Says of a package what Python says where it is not installed."""

    def __init__(self, package: str) -> None:
        self._package = package

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname.partition(".")[0] == self._package:
            raise ModuleNotFoundError(f"No module named {fullname!r}", name=fullname)
        return None


def hide(package: str) -> None:
    """For good, and from those who look into sys.modules. RuntimeError where it was imported before."""
    if package in sys.modules:
        raise RuntimeError(f"{package} is imported already")
    sys.meta_path.insert(0, Absent(package))


@contextmanager
def hidden(package: str) -> Iterator[None]:
    """Within the block, also if it was imported before."""
    aside = {name: sys.modules.pop(name) for name in list(sys.modules) if name.partition(".")[0] == package}
    absent: dict[str, Any] = {package: None}  # as Python marks what is not there
    sys.modules.update(absent)
    try:
        yield
    finally:
        del sys.modules[package]
        sys.modules.update(aside)


def pytest_configure() -> None:
    hide(NUMPY)
