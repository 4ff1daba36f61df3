"""Configuration files: which fields are taken, what is refused, and who wins."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pybernetes.component import configfile, flags
from pybernetes.component.command import UsageError
from pybernetes.component.configfile import ConfigFileError, Kind
from pybernetes.component.flags import Flag
from pybernetes.kubelet import configfields
from pybernetes.kubelet import options as kubelet
from pybernetes.proxy import options as proxy
from pybernetes.scheduler import options as scheduler

FLAGS = (
    Flag("config", flags.string, "", "The file."),
    Flag("port", flags.integer, 10, "A port."),
    Flag("grace", flags.integer, 3, "A pointer."),
    Flag("period", flags.duration, 30.0, "A time."),
    Flag("names", flags.strings, [], "Names."),
    Flag("limits", flags.mapping, {}, "By name."),
    Flag("on", flags.boolean, True, "A switch."),
    Flag("title", flags.string, "", "A text."),
    Flag("rate", flags.number, 1.0, "A number."),
)
KIND = Kind(
    "x.config.k8s.io/v1",
    "XConfiguration",
    {"port": "port", "grace": "grace", "a.period": "period", "a.names": "names", "limits": "limits", "on": "on"}
    | {"title": "title", "a.rate": "rate"},
    pointers=("grace",),
    converters={"limits": lambda value: {str(k): str(v) for k, v in value.items()}},
    without_effect={"logging": "", "a.verbose": "nobody listens"},
    read_elsewhere=("profiles",),
)
HEAD = {"apiVersion": "x.config.k8s.io/v1", "kind": "XConfiguration"}


def of(**fields: Any) -> dict[str, Any]:
    return configfile.values_of(KIND, FLAGS, {**HEAD, **fields})


@pytest.mark.parametrize(
    ("fields", "values"),
    [
        ({}, {}),
        ({"port": 7, "on": False}, {"port": 7, "on": False}),
        ({"port": 0, "grace": 0}, {"grace": 0}),  # zero is left out by Go, but not of a pointer
        ({"port": None, "grace": None, "a": None}, {}),
        ({"a": {"period": "1m30s", "names": ["x", "y"]}}, {"period": 90.0, "names": ["x", "y"]}),
        ({"a": {"period": "0s"}}, {}),
        ({"limits": {"m": 5}}, {"limits": {"m": "5"}}),
        ({"title": "5", "a": {"rate": 5}}, {"title": "5", "rate": 5.0}),
        ({"title": "", "a": {"rate": 2.5}}, {"rate": 2.5}),
        ({"profiles": [{"anything": 1}], "logging": {"anything": 0}}, {}),
    ],
)
def test_fields(fields: dict[str, Any], values: dict[str, Any]) -> None:
    assert of(**fields) == values


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"typo": 1}, 'strict decoding error: unknown field "typo"'),
        ({"a": {"typo": 1}}, 'strict decoding error: unknown field "a.typo"'),
        ({"a": 1}, "a: 1 is no object"),
        ({"a": {"period": "1d"}}, "a.period: '1d': time: invalid duration"),
        ({"limits": 3}, "limits: 3: "),
        # Values of another type than the field's were read as what they look like; upstream takes none.
        ({"port": "7"}, "json: cannot unmarshal string into Go struct field XConfiguration.port of type int32"),
        ({"port": ""}, "json: cannot unmarshal string into Go struct field XConfiguration.port of type int32"),
        ({"port": True}, "json: cannot unmarshal bool into Go struct field XConfiguration.port of type int32"),
        ({"port": 1.5}, "json: cannot unmarshal number 1.5 into Go struct field XConfiguration.port of type int32"),
        ({"port": [1]}, "json: cannot unmarshal array into Go struct field XConfiguration.port of type int32"),
        ({"on": "true"}, "json: cannot unmarshal string into Go struct field XConfiguration.on of type bool"),
        ({"on": 0}, "json: cannot unmarshal number into Go struct field XConfiguration.on of type bool"),
        ({"title": 3}, "json: cannot unmarshal number into Go struct field XConfiguration.title of type string"),
        ({"title": 0}, "json: cannot unmarshal number into Go struct field XConfiguration.title of type string"),
        ({"title": {}}, "json: cannot unmarshal object into Go struct field XConfiguration.title of type string"),
        (
            {"a": {"rate": "5"}},
            "json: cannot unmarshal string into Go struct field XConfiguration.a.rate of type float32",
        ),
        ({"a": {"period": 5}}, "json: cannot unmarshal number into Go value of type string"),
        ({"a": {"period": 0}}, "json: cannot unmarshal number into Go value of type string"),
        ({"kind": "Y"}, "want XConfiguration of x.config.k8s.io/v1, not x.config.k8s.io/v1, Y"),
    ],
)
def test_refusals(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigFileError) as caught:
        of(**fields)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize("document", [None, [], "text"])
def test_what_is_no_object(document: Any) -> None:
    with pytest.raises(ConfigFileError, match="not no object"):
        configfile.values_of(KIND, FLAGS, document)


def test_only_what_says_something_is_named(caplog: pytest.LogCaptureFixture) -> None:
    of(logging={"verbosity": 0, "format": ""}, a={"verbose": True})
    assert [record.getMessage() for record in caplog.records] == [
        "XConfiguration: a.verbose has no effect here: nobody listens"
    ]


def merge(*arguments: str, obeyed: tuple[str, ...] | None = None, **fields: Any) -> flags.Values:
    values = flags.parse("x", FLAGS, ["--config=f", *arguments])
    return configfile.merged(KIND, FLAGS, values, {**HEAD, **fields}, obeyed)


def test_a_flag_that_is_given_wins_also_at_its_default() -> None:
    values = merge("--port=10", port=7, grace=8)
    assert (values["port"], values["grace"], values["config"]) == (10, 8, "f")
    assert values.given == {"config", "port"}


def test_flags_that_do_not_count_beside_a_file(caplog: pytest.LogCaptureFixture) -> None:
    values = merge("--port=11", "--grace=12", obeyed=("config", "grace"), grace=8)
    assert (values["port"], values["grace"]) == (10, 12)
    assert "--port has no effect together with --config" in caplog.text


def test_mistakes_name_the_file() -> None:
    with pytest.raises(UsageError, match=r'^--config=f: strict decoding error: unknown field "typo"$'):
        merge(typo=1)


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "No such file"), (b"a: [", "while parsing"), (b"\xff\xfe\x00", "")],
)
def test_files_that_cannot_be_read(tmp_path: Path, content: bytes | None, message: str) -> None:
    path = tmp_path / "config"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UsageError, match=f"^--config={path}: .*{message}"):
        configfile.load(str(path))


@pytest.mark.parametrize(
    ("part", "kind"),
    [
        (kubelet, configfields.CONFIGURATION),
        (proxy, proxy.configuration("iptables")),
        (proxy, proxy.configuration("nftables")),
        (scheduler, scheduler.CONFIGURATION),
    ],
    ids=["kubelet", "proxy by iptables", "proxy by nftables", "scheduler"],
)
def test_the_tables_of_the_parts(part: Any, kind: Kind) -> None:
    names = {flag.name for flag in part.FLAGS}
    assert set(kind.fields.values()) <= names
    assert {*kind.pointers, *kind.converters} <= set(kind.fields)
    assert not {*kind.without_effect, *kind.read_elsewhere} & set(kind.fields)
