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


def test_what_was_given_is_known_also_at_its_default() -> None:
    values = flags.parse("kube-x", FLAGS, ["--secure-port=6443", "--leader-elect"])
    assert values.given == {"secure-port", "leader-elect"}


def test_a_flag_without_effect_says_so() -> None:
    declared = (*FLAGS, flags.ignored("profiling", flags.boolean, "there is no profiler"))
    with pytest.raises(
        HelpAsked, match="Ignored flags:\n  --profiling\n        Accepted, and without effect here: there is"
    ):
        flags.parse("kube-x", declared, ["--help"])
    assert flags.warnings(declared, flags.parse("kube-x", declared, [])) == []
    given = flags.parse("kube-x", declared, ["--profiling=false", "--secure-port=1"])
    assert flags.warnings(declared, given) == ["--profiling has no effect here"]
