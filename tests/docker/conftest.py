"""Skips this folder where it cannot run."""

from __future__ import annotations

from pathlib import Path

import pytest

from .engine import unavailable

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    reason = unavailable()
    for item in items:
        if reason and HERE in Path(item.path).parents:
            item.add_marker(pytest.mark.skip(reason=reason))
