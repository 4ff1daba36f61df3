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
    assert flags.warnings(declared, given) == ["--profiling has no effect here: there is no profiler"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("x", 'strconv.ParseInt: parsing "x": invalid syntax'),
        ("", 'strconv.ParseInt: parsing "": invalid syntax'),
        ("1.5", 'strconv.ParseInt: parsing "1.5": invalid syntax'),
        (" 1", 'strconv.ParseInt: parsing " 1": invalid syntax'),
        ("٣", "invalid syntax"),
        ("9223372036854775808", 'strconv.ParseInt: parsing "9223372036854775808": value out of range'),
    ],
)
def test_numbers_are_refused_in_gos_words(text: str, words: str) -> None:
    """The kind: what a user types wrong is not answered in Python's words ("invalid literal for int() with base 0")."""
    with pytest.raises(ValueError) as refused:
        flags.integer(text)
    assert words in str(refused.value)


def test_numbers() -> None:
    assert [flags.integer(text) for text in ("7", "-7", "0x10", "0o10", "9223372036854775807")] == [
        7,
        -7,
        16,
        8,
        2**63 - 1,
    ]
    assert flags.number("1.5") == 1.5
    with pytest.raises(ValueError, match=r'strconv\.ParseFloat: parsing "a": invalid syntax'):
        flags.number("a")
