"""Every mode is a room of one shape."""

from __future__ import annotations

import asyncio

import pytest

from pybernetes.cli import proxy
from pybernetes.component.command import Failure
from pybernetes.proxy import backends, cleanup
from pybernetes.proxy.backends import DEFAULT_MODES, MODES, mode


@pytest.mark.parametrize("name", MODES)
def test_a_mode_is_found_by_its_name(name: str) -> None:
    assert mode(name).name == name


class Lacking:
    """A mode of a machine that has it, or lacks something."""

    def __init__(self, name: str, lack: str) -> None:
        self.name, self._lack = name, lack

    async def lacks(self) -> str:
        return self._lack


@pytest.mark.parametrize(
    ("asked", "lacks", "chosen"),
    [
        ("", {}, "iptables"),
        ("", {"iptables": "not installed"}, "nftables"),
        ("nftables", {}, "nftables"),
        ("ipvs", {}, "ipvs"),
        ("iptables", {"iptables": "not installed"}, "--proxy-mode=iptables: not installed"),
        (
            "",
            dict.fromkeys(MODES, "not installed"),
            "; ".join(f"--proxy-mode={name}: not installed" for name in DEFAULT_MODES),
        ),
    ],
)
def test_the_machine_decides_unless_a_mode_is_asked_for(
    asked: str, lacks: dict[str, str], chosen: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backends, "mode", lambda name: Lacking(name, lacks.get(name, "")))
    if chosen in MODES:
        assert asyncio.run(proxy.chosen_mode(asked)).name == chosen
    else:
        with pytest.raises(Failure) as caught:
            asyncio.run(proxy.chosen_mode(asked))
        assert str(caught.value) == chosen


def test_ipvs_is_refused_in_upstreams_words_where_the_kernel_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    async def missing() -> bool:
        return False

    monkeypatch.setattr("pybernetes.proxy.backends.ipvs.backend._has_ipvs", missing)
    with pytest.raises(Failure) as caught:
        asyncio.run(proxy.chosen_mode("ipvs"))
    assert str(caught.value) == "--proxy-mode=ipvs: can't use the IPVS proxier: ipvs not supported by the kernel"


@pytest.mark.parametrize(
    ("starts", "removed"),
    [("", set(MODES)), ("iptables", set(MODES) - {"iptables"}), ("ipvs", set(MODES) - {"ipvs", "iptables"})],
)
def test_what_a_mode_leaves_to_the_one_that_starts(
    starts: str, removed: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """ipvs has chains of the same names as iptables, and looks after them itself."""
    asked: set[str] = set()

    class Removing:
        def __init__(self, name: str) -> None:
            self._name = name

        async def remove(self, shared: bool) -> None:
            asked.add(self._name)

    monkeypatch.setattr(cleanup, "mode", Removing)
    asyncio.run(cleanup.remove(shared=False, but=starts))
    assert asked == removed
