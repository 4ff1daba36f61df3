"""`./bench`: a suite that cannot measure holds up no other."""

from __future__ import annotations

import importlib
from types import SimpleNamespace

import benchmarks.__main__ as bench
import pytest
from benchmarks.figures import Figures


def test_the_others_are_measured_and_the_end_tells(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    reported: list[str] = []

    def measured(name: str) -> Figures:
        if name in ("memory", "dns"):
            raise RuntimeError("its program is missing")
        return {name: (1.0, "s")}

    suites = {name: SimpleNamespace(main=lambda name=name: measured(name)) for name in bench.SUITES}
    monkeypatch.setattr(importlib, "import_module", lambda path: suites[path.removeprefix("benchmarks.")])
    monkeypatch.setattr(bench, "report", lambda version, figures, load: reported.extend(figures))
    assert bench.main([]) == 1
    assert reported == [name for name in bench.SUITES if name not in ("memory", "dns")]
    assert capsys.readouterr().err.splitlines() == [
        "bench: memory: its program is missing",
        "bench: dns: its program is missing",
        "bench: without figures: memory, dns",
    ]
    assert bench.main(["apiserver"]) == 0


def test_a_suite_that_there_is_not(capsys: pytest.CaptureFixture[str]) -> None:
    assert bench.main(["apiserver", "speed"]) == 2
    assert "there is no suite 'speed'" in capsys.readouterr().err
