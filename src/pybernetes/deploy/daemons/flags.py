"""Command lines (upstream: kubeadm app/util/arguments.go)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..types import Arg


def command_line(defaults: Mapping[str, str], more: Sequence[Arg] = ()) -> tuple[str, ...]:
    """`--name=value` by name; what `more` names takes the place of the default, and may come several times, in its order."""
    named: dict[str, list[str]] = {name: [value] for name, value in defaults.items()}
    for name in {arg.name for arg in more}:
        named[name] = [arg.value for arg in more if arg.name == name]
    return tuple(f"--{name}={value}" for name in sorted(named) for value in named[name])
