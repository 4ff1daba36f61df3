"""Every mode is a room of one shape."""

from __future__ import annotations

import pytest

from pybernetes.proxy.backends import MODES, mode


@pytest.mark.parametrize("name", MODES)
def test_a_mode_is_found_by_its_name(name: str) -> None:
    assert mode(name).name == name
