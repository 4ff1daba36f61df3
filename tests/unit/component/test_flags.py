"""Flags are read as pflag reads them."""

from typing import Any

import pytest

from pybernetes.component import flags
from pybernetes.component.flags import Flag, FlagError, HelpAsked

FLAGS = (
    Flag("secure-port", flags.integer, 6443, "The port."),
    Flag("leader-elect", flags.boolean, True, "Whether to elect."),
    Flag("timeout", flags.duration, 30.0, "How long."),
    Flag("names", flags.strings, ["a"], "Some."),
    Flag("feature-gates", flags.switches, {}, "Switches."),
)


@pytest.mark.parametrize(
    ("arguments", "name", "value"),
    [
        ([], "secure-port", 6443),
        (["--secure-port=1"], "secure-port", 1),
        (["--secure-port", "2"], "secure-port", 2),
        (["--secure_port", "2"], "secure-port", 2),
        (["--leader-elect"], "leader-elect", True),
        (["--leader-elect=false"], "leader-elect", False),
        (["--leader-elect=F"], "leader-elect", False),
        (["--timeout=1m30s"], "timeout", 90.0),
        (["--timeout=1.5h"], "timeout", 5400.0),
        (["--timeout=0"], "timeout", 0.0),
        (["--names=b,c", "--names=d"], "names", ["b", "c", "d"]),
        (["--feature-gates=A=true,B=false"], "feature-gates", {"A": True, "B": False}),
    ],
)
def test_values(arguments: list[str], name: str, value: Any) -> None:
    assert flags.parse("kube-x", FLAGS, arguments)[name] == value


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--foo"], "unknown flag: --foo"),
        (["--secure-port"], "flag needs an argument: --secure-port"),
        (["--secure-port=x"], 'invalid argument "x" for "--secure-port" flag'),
        (["--timeout=5"], 'invalid argument "5" for "--timeout" flag: time: invalid duration'),
        (["--leader-elect=maybe"], 'invalid argument "maybe"'),
        (["run"], "unknown command 'run'"),
    ],
)
def test_refusals(arguments: list[str], message: str) -> None:
    with pytest.raises(FlagError, match="^" + message.replace("(", r"\(")):
        flags.parse("kube-x", FLAGS, arguments)


def test_help_shows_defaults() -> None:
    with pytest.raises(HelpAsked, match=r"(?s)--secure-port integer.*\(default 6443\)"):
        flags.parse("kube-x", FLAGS, ["--help"])
