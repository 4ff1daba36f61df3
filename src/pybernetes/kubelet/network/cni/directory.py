"""The networks that the files of --cni-conf-dir describe (upstream: cri-dockerd's network/cni getDefaultCNINetwork, libcni/conf.go). Blocking."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .configuration import (
    MAX_BYTES,
    ConfigurationError,
    Network,
    Plugin,
    list_of,
    name_problem,
    parse_list,
    parse_plugin,
)

PLUGIN_DIRS = ("/opt/cni/bin", "/usr/lib/cni")  # where plugins are: upstream's default, and Debian's
EXTENSIONS = (".conf", ".conflist", ".json")
MAX_FILES = 256  # of a folder: more than that is no folder of networks


@dataclass(frozen=True, slots=True)
class Candidates:
    """Networks in the order of their files' names, and what is wrong with other files, a line each."""

    networks: tuple[Network, ...]
    problems: tuple[str, ...]


def load(folder: Path) -> Candidates:
    """A folder that is missing or empty is a problem, no error."""
    try:
        files = _files(folder, EXTENSIONS)
    except OSError as error:
        return Candidates((), (f"{folder}: {error.strerror or error}",))
    if not files:
        return Candidates((), (f"no networks found in {folder}",))
    networks, problems = [], []
    for file in files:
        try:
            networks.append(_network(file))
        except OSError as error:
            problems.append(f"Error loading CNI config file {file}: {error.strerror or error}")
        except ConfigurationError as error:
            what = "list file" if file.suffix == ".conflist" else "file"
            problems.append(f"Error loading CNI config {what} {file}: {error}")
    return Candidates(tuple(networks), tuple(problems))


def lacking(folder: Path, bin_dirs: Sequence[str]) -> str:
    """Why no network of a folder can be had with the plugins of these others, "" where one can; only files are looked at."""
    candidates = load(folder)
    problems = [*candidates.problems]
    for network in candidates.networks:
        types = dict.fromkeys(plugin.type for plugin in network.plugins)
        missing = [name for name in types if not any((Path(place) / name).is_file() for place in bin_dirs)]
        if not missing:
            return ""
        problems.append(f"network {network.name}: no {', '.join(missing)} in {', '.join(bin_dirs)}")
    return "; ".join(problems)


def _files(folder: Path, extensions: Sequence[str]) -> list[Path]:
    """Sorted; none where the folder is not there."""
    try:
        names = sorted(name for name in os.listdir(folder) if Path(name).suffix in extensions)
    except FileNotFoundError:
        return []
    if len(names) > MAX_FILES:
        raise OSError(f"it has more than {MAX_FILES} files of networks")
    return [folder / name for name in names if not (folder / name).is_dir()]


def _network(file: Path) -> Network:
    data = _read(file)
    if file.suffix != ".conflist":
        return list_of(parse_plugin(data))
    network = parse_list(data)
    if not network.load_only_inlined_plugins and not name_problem(network.name):
        network = network.followed_by(_plugins_of(file.parent / network.name))
    if not network.plugins:
        raise ConfigurationError("no plugin configs found")
    return network


def _plugins_of(folder: Path) -> list[Plugin]:
    """Those that lie in a folder named as the network, which belong to it since CNI 1.1."""
    return [parse_plugin(_read(file)) for file in _files(folder, (".conf",))]


def _read(file: Path) -> bytes:
    """At most a byte more than a configuration may have."""
    with file.open("rb") as opened:
        return opened.read(MAX_BYTES + 1)
