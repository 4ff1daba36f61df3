"""Files of networks: what is taken, and what is said of the others."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pybernetes.kubelet.network.cni import configuration
from pybernetes.kubelet.network.cni.configuration import ConfigurationError, list_of, parse_list, parse_plugin
from pybernetes.kubelet.network.cni.directory import load

LIST: dict[str, Any] = {"cniVersion": "1.0.0", "name": "pods", "plugins": [{"type": "bridge"}]}


def _parsed(**fields: Any) -> configuration.Network:
    return parse_list(json.dumps(LIST | fields).encode())


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, "1.0.0"),
        ({"cniVersions": ["0.4.0", "1.1.0", "1.0.0"]}, "1.1.0"),
        ({"cniVersions": ["0.4.0", "2.0.0"]}, "1.0.0"),  # later ones are for later runtimes
        ({"cniVersion": "3.0.0", "cniVersions": ["0.3.1"]}, "0.3.1"),
        ({"cniVersions": []}, "1.0.0"),
        ({"cniVersion": ""}, ""),
    ],
)
def test_the_version(fields: dict[str, Any], expected: str) -> None:
    assert _parsed(**fields).cni_version == expected


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ("{", "error parsing configuration list: "),
        ("[]", "cannot unmarshal array into Go value"),
        ("[" * 100_000, "error parsing configuration list: "),
        ('{"cniVersion": "1.0.0"}', "error parsing configuration list: no name"),
        ('{"name": 5}', "error parsing configuration list: invalid name type float64"),
        ('{"name": "a", "cniVersion": 1}', "invalid cniVersion type float64"),
        ('{"name": "a", "cniVersions": "1.0.0"}', "invalid type for cniVersions: "),
        ('{"name": "a", "cniVersions": [{}]}', "invalid type for cniVersions index 0: map[string]interface {}"),
        (
            '{"name": "a", "cniVersions": ["x"]}',
            'invalid cniVersions entry x at index 0: failed to convert major version part "x": '
            'strconv.Atoi: parsing "x": invalid syntax',
        ),
        ('{"name": "a", "cniVersions": ["1.2.3.4"]}', 'invalid version "1.2.3.4": too many parts'),
        ('{"name": "a", "disableCheck": 1}', "invalid type float64 for disableCheck"),
        ('{"name": "a", "disableGC": "No"}', 'invalid value "no" for disableGC'),
        ('{"name": "a", "loadOnlyInlinedPlugins": true}', "`loadOnlyInlinedPlugins` is true, and no 'plugins' key"),
        ('{"name": "a", "plugins": {}}', "invalid 'plugins' type map[string]interface {}"),
        ('{"name": "a", "plugins": []}', "error parsing configuration list: no plugins in list"),
        (
            '{"name": "a", "plugins": [{"type": "b"}, {}]}',
            "failed to parse plugin config 1: error parsing configuration: missing 'type'",
        ),
        (
            '{"name": "a", "plugins": [{"type": 5}]}',
            "cannot unmarshal number into Go struct field PluginConf.type of type string",
        ),
        (
            '{"name": "a", "plugins": [{"type": "b", "capabilities": {"x": 1}}]}',
            "PluginConf.capabilities.x of type bool",
        ),
        (json.dumps(LIST | {"plugins": [{"type": "b"}] * 65}), "more than 64 plugins"),
        ('{"name": "' + "a" * (1 << 20) + '"}', "larger than 1048576 bytes"),
    ],
)
def test_what_is_wrong(data: str, text: str) -> None:
    with pytest.raises(ConfigurationError) as error:
        parse_list(data.encode())
    assert text in str(error.value)


def test_switches_are_booleans_or_words() -> None:
    network = _parsed(disableCheck="TRUE", disableGC=True, loadOnlyInlinedPlugins="false")
    assert (network.disable_check, network.disable_gc, network.load_only_inlined_plugins) == (True, True, False)


def test_a_single_plugin_is_a_network() -> None:
    plugin = parse_plugin(
        b'{"name": "n", "cniVersion": "0.3.1", "type": "ptp", "capabilities": {"a": true, "b": false}}'
    )
    network = list_of(plugin)
    assert (network.name, network.cni_version, network.capabilities) == ("n", "0.3.1", {"a"})
    assert network.plugins[0].description == 'type="ptp" name="n"' and parse_list(network.data) == network


@pytest.mark.parametrize(
    ("version", "least", "expected"),
    [("0.3.1", "0.4.0", False), ("0.4.0", "0.4.0", True), ("1.0", "0.4.0", True), ("", "0.3.0", False)],
)
def test_versions_compare(version: str, least: str, expected: bool) -> None:
    assert _parsed(cniVersion=version).at_least(least) is expected


@pytest.mark.parametrize(
    ("problem", "good", "bad"),
    [
        (configuration.name_problem, ("a", "A.b_c-1"), ("", ".a", "a/b", "../x", "a b")),
        (configuration.container_problem, ("abc",), ("", "-a", "a;b")),
        (configuration.interface_problem, ("eth0", "x" * 15), ("", "x" * 16, ".", "..", "a/b", "a:b", "a b")),
    ],
)
def test_names(problem: Any, good: tuple[str, ...], bad: tuple[str, ...]) -> None:
    assert [name for name in good if problem(name)] == [] and [name for name in bad if not problem(name)] == []


def test_the_folder(tmp_path: Path) -> None:
    folder = tmp_path / "net.d"
    assert load(folder).problems == (f"no networks found in {folder}",)
    folder.mkdir()
    (folder / "05-broken.conflist").write_text("{")
    (folder / "06-list.conf").write_text(json.dumps(LIST))  # a list under a plugin's extension
    (folder / "20-b.conf").write_text('{"name": "single", "type": "ptp"}')
    (folder / "10-a.conflist").write_text(json.dumps(LIST))
    (folder / "99-calico.json").write_text('{"name": "last", "type": "x"}')
    (folder / "readme.txt").write_text("{}")
    (folder / "11-folder.conf").mkdir()
    candidates = load(folder)
    assert [network.name for network in candidates.networks] == ["pods", "single", "last"]
    assert [problem.split(": ", 1)[0] for problem in candidates.problems] == [
        f"Error loading CNI config list file {folder}/05-broken.conflist",
        f"Error loading CNI config file {folder}/06-list.conf",
    ]


@pytest.mark.parametrize("inlined", [True, False])
def test_plugins_in_a_folder_of_the_network(tmp_path: Path, inlined: bool) -> None:
    """CNI 1.1: files beside those of the list, unless it forbids them. What is remembered for DEL holds them all."""
    (tmp_path / "pods").mkdir()
    (tmp_path / "pods" / "20.conf").write_text('{"type": "tuning"}')
    (tmp_path / "pods" / "10.conf").write_text('{"type": "firewall"}')
    (tmp_path / "a.conflist").write_text(json.dumps(LIST | {"loadOnlyInlinedPlugins": inlined}))
    (network,) = load(tmp_path).networks
    expected = ["bridge"] if inlined else ["bridge", "firewall", "tuning"]
    assert [plugin.type for plugin in network.plugins] == expected
    assert parse_list(network.data).plugins == network.plugins


def test_a_list_without_any_plugin(tmp_path: Path) -> None:
    (tmp_path / "a.conflist").write_text('{"name": "n", "cniVersion": "1.1.0"}')
    assert load(tmp_path).problems == (
        f"Error loading CNI config list file {tmp_path}/a.conflist: no plugin configs found",
    )


def test_a_file_that_is_too_large_is_not_read_to_its_end(tmp_path: Path) -> None:
    with (tmp_path / "a.conflist").open("wb") as file:
        file.truncate(1 << 40)
    assert "larger than" in load(tmp_path).problems[0]
