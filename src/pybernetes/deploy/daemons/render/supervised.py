"""Daemons for the supervisor of `cluster/supervisor.py`: hosts without systemd, tests, containers."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from ..model import Daemon


class Program(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One process in the supervisor's file; `ours`: argv is a command of pybernetes."""

    name: str
    argv: list[str]
    ours: bool
    environment: dict[str, str]
    directories: list[str]


class Programs(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """The supervisor's file; started in this order. `python`: the interpreter that pybernetes is installed for, "" that of the supervisor."""

    programs: list[Program]
    python: str = ""


def programs(daemons: Sequence[Daemon]) -> Programs:
    """What the supervisor runs: commands of pybernetes are forked, others executed."""
    return Programs(
        programs=[
            Program(
                name=daemon.name,
                argv=list(daemon.command(())),
                ours=daemon.ours,
                environment=dict(daemon.environment),
                directories=list(daemon.directories),
            )
            for daemon in daemons
        ]
    )


def text(described: Programs) -> bytes:
    """JSON, for people too."""
    return msgspec.json.format(msgspec.json.encode(described)) + b"\n"


def shown(program: Program) -> str:
    """A program for people: an argument a line."""
    words = [f"{name}={value}" for name, value in sorted(program.environment.items())]
    return "".join(f"{word}\n" for word in (*words, *program.argv))


def parse(data: bytes) -> Programs:
    """msgspec.ValidationError, msgspec.DecodeError."""
    return msgspec.json.decode(data, type=Programs)
