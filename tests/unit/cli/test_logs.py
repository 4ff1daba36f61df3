"""`pybernetes logs`: which log, how much of it, and what is asked instead of a name that is none."""

from __future__ import annotations

from pathlib import Path

import pytest

from pybernetes.cli import logs
from pybernetes.cluster.layout import Layout


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    found = Layout(tmp_path)
    found.logs.mkdir()
    for part in ("kubelet", "kube-proxy"):
        found.log(part).write_text("".join(f"{part} {number}\n" for number in range(1, 6)))
    return found


@pytest.mark.parametrize(
    ("arguments", "names", "options"),
    [
        (["kubelet"], ["kubelet"], []),
        (["-f", "kubelet"], ["kubelet"], ["--follow"]),
        (["kubelet", "--tail=2", "-f"], ["kubelet"], ["--tail=2", "--follow"]),
        (["--tail", "2", "kubelet"], ["kubelet"], ["--tail", "2"]),
        (["--data-dir", "/x", "kubelet", "--tail", "-1"], ["kubelet"], ["--data-dir", "/x", "--tail", "-1"]),
        (["--follow", "kubelet"], ["kubelet"], ["--follow"]),
        (["a", "b"], ["a", "b"], []),
        ([], [], []),
    ],
)
def test_names_and_flags_in_any_order(arguments: list[str], names: list[str], options: list[str]) -> None:
    assert logs.split(arguments) == (names, options)


@pytest.mark.parametrize(("tail", "lines"), [("-1", 5), ("0", 0), ("2", 2), ("5", 5), ("99", 5)])
def test_the_last_lines(layout: Layout, tail: str, lines: int, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    assert logs.main([f"--data-dir={layout.root}", "--tail", tail, "kubelet"]) == 0
    shown = capfdbinary.readouterr().out.decode().splitlines()
    assert shown == [f"kubelet {number}" for number in range(6 - lines, 6)]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "name one of: kube-proxy, kubelet"),
        (["kubelets"], "kubelets: there is no log of that name; name one of: kube-proxy, kubelet"),
        (["kubelet", "kube-proxy"], "name one of: kube-proxy, kubelet"),
        (["../supervisor"], "there is no log of that name"),
        (["--tail=-2", "kubelet"], "--tail=-2: want a number of lines, or -1 for all"),
    ],
)
def test_what_is_no_log(layout: Layout, arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert logs.main([f"--data-dir={layout.root}", *arguments]) == 2
    output, errors = capsys.readouterr()
    assert output == "" and words in errors and errors.count("\n") == 1
