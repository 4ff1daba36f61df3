"""Network configurations: conflists and single plugins' files, in libcni's words where they are wrong (upstream: libcni/conf.go)."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

CURRENT_VERSION = "1.1.0"
VERSIONS = ("0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", CURRENT_VERSION)
MAX_BYTES = 1 << 20  # of one file
MAX_PLUGINS = 64  # of one network
MAX_INTERFACE_NAME = 15  # the kernel's IFNAMSIZ, without its end
_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.\-]*")

Config = dict[str, Any]


class ConfigurationError(ValueError):
    """A configuration that no plugin can be run by; the text is libcni's."""


@dataclass(frozen=True, slots=True)
class Plugin:
    """One plugin of a network; `config` is its part of the file."""

    type: str
    config: Config
    name: str = ""
    cni_version: str = ""
    capabilities: frozenset[str] = frozenset()

    @property
    def description(self) -> str:
        """As errors name it."""
        text = f"type={quoted(self.type)}"
        return f"{text} name={quoted(self.name)}" if self.name else text


@dataclass(frozen=True, slots=True)
class Network:
    """A chain of plugins. `data` is the file's document, from which `parse_list` makes this again."""

    name: str
    cni_version: str
    plugins: tuple[Plugin, ...]
    data: bytes
    disable_check: bool = False
    disable_gc: bool = False
    load_only_inlined_plugins: bool = False

    def at_least(self, version: str) -> bool:
        """Whether the configuration is of this version of CNI, or a later one."""
        return parse_version(self.cni_version) >= parse_version(version)

    @property
    def capabilities(self) -> frozenset[str]:
        return frozenset().union(*(plugin.capabilities for plugin in self.plugins))

    def followed_by(self, more: Sequence[Plugin]) -> Network:
        """With plugins that lie in files of their own; its document holds them all."""
        if not more:
            return self
        document = _object(self.data, "error parsing configuration list")
        plugins = [*self.plugins, *more]
        if len(plugins) > MAX_PLUGINS:
            raise ConfigurationError(f"error parsing configuration list: more than {MAX_PLUGINS} plugins")
        document |= {"plugins": [plugin.config for plugin in plugins], "loadOnlyInlinedPlugins": True}
        return replace(self, plugins=tuple(plugins), data=encoded(document))


def quoted(text: str) -> str:
    """As Go's %q, for what has no characters beyond ASCII."""
    return json.dumps(text)


def encoded(document: Any) -> bytes:
    """As Go writes it: keys in their order, nothing between."""
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()


def parse_version(version: str) -> tuple[int, int, int]:
    """ConfigurationError."""
    parts = (version or "0.1.0").split(".")
    if len(parts) >= 4:
        raise ConfigurationError(f"invalid version {quoted(version)}: too many parts")
    numbers = []
    for part, word in zip(parts, ("major", "minor", "micro"), strict=False):
        if not re.fullmatch(r"[+-]?[0-9]{1,9}", part):
            problem = f"strconv.Atoi: parsing {quoted(part)}: invalid syntax"
            raise ConfigurationError(f"failed to convert {word} version part {quoted(part)}: {problem}")
        numbers.append(int(part))
    major, minor, micro = (*numbers, 0, 0)[:3]
    return major, minor, micro


def parse_plugin(data: bytes) -> Plugin:
    """A single plugin's file. ConfigurationError."""
    return _plugin(_object(data, "error parsing configuration"))


def _plugin(document: Config) -> Plugin:
    def text(name: str) -> str:
        value = document.get(name)
        if not isinstance(value, str | None):
            raise ConfigurationError(f"error parsing configuration: {_mistyped(value, name, 'string')}")
        return value or ""

    capabilities = document.get("capabilities")
    if not isinstance(capabilities, dict | None):
        problem = _mistyped(capabilities, "capabilities", "map[string]bool")
        raise ConfigurationError(f"error parsing configuration: {problem}")
    for name, value in (capabilities or {}).items():
        if not isinstance(value, bool):
            raise ConfigurationError(f"error parsing configuration: {_mistyped(value, f'capabilities.{name}', 'bool')}")
    plugin = Plugin(
        text("type"),
        document,
        text("name"),
        text("cniVersion"),
        frozenset(name for name, value in (capabilities or {}).items() if value),
    )
    if not plugin.type:
        raise ConfigurationError("error parsing configuration: missing 'type'")
    return plugin


def parse_list(data: bytes) -> Network:
    """A conflist. Without plugins of its own it has those of its folder (`followed_by`). ConfigurationError."""
    document = _object(data, "error parsing configuration list")
    if "name" not in document:
        raise _list_error("no name")
    name = document["name"]
    if not isinstance(name, str):
        raise _list_error(f"invalid name type {go_type(name)}")
    disable_check, disable_gc, inlined = (
        _boolean(document, key) for key in ("disableCheck", "disableGC", "loadOnlyInlinedPlugins")
    )
    network = Network(name, _version(document), (), data, disable_check, disable_gc, inlined)
    if "plugins" not in document:
        if inlined:
            raise _list_error("`loadOnlyInlinedPlugins` is true, and no 'plugins' key")
        return network
    plugins = document["plugins"]
    if not isinstance(plugins, list):
        raise _list_error(f"invalid 'plugins' type {go_type(plugins)}")
    if not plugins:
        raise _list_error("no plugins in list")
    if len(plugins) > MAX_PLUGINS:
        raise _list_error(f"more than {MAX_PLUGINS} plugins")
    parsed = []
    for index, plugin in enumerate(plugins):
        try:
            if not isinstance(plugin, dict):
                raise ConfigurationError(f"error parsing configuration: {_mistyped(plugin, '', 'types.PluginConf')}")
            parsed.append(_plugin(plugin))
        except ConfigurationError as error:
            raise ConfigurationError(f"failed to parse plugin config {index}: {error}") from None
    return replace(network, plugins=tuple(parsed))


def list_of(plugin: Plugin) -> Network:
    """A network of a single plugin, which has the network's name and version in its own file. ConfigurationError."""
    document = {"name": plugin.name, "cniVersion": plugin.cni_version, "plugins": [plugin.config]}
    return parse_list(encoded(document))


def _version(document: Config) -> str:
    """The latest of cniVersion and cniVersions that is spoken here."""
    version = document.get("cniVersion", "")
    if not isinstance(version, str):
        raise _list_error(f"invalid cniVersion type {go_type(version)}")
    if "cniVersions" not in document:
        return version
    given = document["cniVersions"]
    if not isinstance(given, list):
        raise _list_error("invalid type for cniVersions: []interface {}")  # upstream tells the type it wants
    spoken = []
    for index, one in enumerate(given):
        if not isinstance(one, str):
            raise _list_error(f"invalid type for cniVersions index {index}: {go_type(one)}")
        try:
            spoken.append((parse_version(one), one))
        except ConfigurationError as error:
            raise _list_error(f"invalid cniVersions entry {one} at index {index}: {error}") from None
    if version:
        try:
            spoken.append((parse_version(version), version))
        except ConfigurationError as error:
            raise _list_error(f"invalid cniVersion {version}: {error}") from None
    current = parse_version(CURRENT_VERSION)
    return max((one for one in spoken if one[0] <= current), default=((), version))[1]


def _boolean(document: Config, key: str) -> bool:
    value = document.get(key, False)
    if isinstance(value, bool):
        return value
    if not isinstance(value, str):
        raise _list_error(f"invalid type {go_type(value)} for {key}")
    if value.lower() not in ("true", "false"):
        raise _list_error(f"invalid value {quoted(value.lower())} for {key}")
    return value.lower() == "true"


def _object(data: bytes, what: str) -> Config:
    if len(data) > MAX_BYTES:
        raise ConfigurationError(f"{what}: it is larger than {MAX_BYTES} bytes")
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ConfigurationError(f"{what}: {error}") from None
    if not isinstance(document, dict):
        raise ConfigurationError(f"{what}: {_mistyped(document, '', 'map[string]interface {}')}")
    return document


def _list_error(text: str) -> ConfigurationError:
    return ConfigurationError(f"error parsing configuration list: {text}")


def go_type(value: Any) -> str:
    """What Go calls the type of a JSON value (%T)."""
    kinds = (
        (bool, "bool"),
        (str, "string"),
        (int | float, "float64"),
        (list, "[]interface {}"),
        (dict, "map[string]interface {}"),
    )
    return next((name for kind, name in kinds if isinstance(value, kind)), "<nil>")


def _mistyped(value: Any, field: str, expected: str) -> str:
    word = {"float64": "number", "[]interface {}": "array", "map[string]interface {}": "object"}.get(
        go_type(value), go_type(value)
    )
    place = f"Go struct field PluginConf.{field}" if field else "Go value"
    return f"json: cannot unmarshal {word} into {place} of type {expected}"


def name_problem(name: str) -> str:
    """What is wrong with a network's name, "" where nothing is (utils.ValidateNetworkName)."""
    if not name:
        return "missing network name:"
    return "" if _NAME.fullmatch(name) else f"invalid characters found in network name; {name}"


def container_problem(container_id: str) -> str:
    """As `name_problem`, of a container's id."""
    if not container_id:
        return "missing containerID"
    return "" if _NAME.fullmatch(container_id) else f"invalid characters in containerID; {container_id}"


def interface_problem(name: str) -> str:
    """As `name_problem`, of an interface's."""
    if not name:
        return "interface name is empty"
    if len(name.encode()) > MAX_INTERFACE_NAME:
        return f"interface name is too long; interface name should be less than {MAX_INTERFACE_NAME + 1} characters"
    if name in (".", ".."):
        return "interface name is . or .."
    if any(character in "/:" or character.isspace() for character in name):
        return "interface name contains / or : or whitespace characters"
    return ""
