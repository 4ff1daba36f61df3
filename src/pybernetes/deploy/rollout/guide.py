"""A plan as text: what --dry-run prints, readable as an installation guide, and the one line for each action while it is done. Pure."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence

from ..daemons.model import Daemon, File
from ..daemons.render import systemd
from .actions import Action, Bring, Initialise, Join, Renew
from .plan import Stage
from .wanted import PROGRAM

STARTED = "It writes these and starts them (where they name other hosts: those that there are by then):"
OF_FURTHER_MASTERS = """\
At the end the API servers of the masters that joined first are told of the members of etcd that joined after them: a new start each,
one by one."""
NOTHING = "Nothing to do: every host is as the file describes it.\n"


def guide(stages: Sequence[Stage]) -> str:
    """All stages, hosts and actions: the files that differ, the commands as they are run."""
    if not stages:
        return NOTHING
    lines: list[str] = []
    for number, stage in enumerate(stages, 1):
        at_once = f", {stage.width} hosts at once" if stage.width > 1 and len(stage.steps) > 1 else ""
        lines += [f"# {number}. {stage.title[0].upper()}{stage.title[1:]}{at_once}", ""]
        for step in stage.steps:
            host = step.host
            lines += [f"## {host.name} ({host.address}): {', '.join(host.roles)}", ""]
            for action in step.actions:
                lines += [*_action(action), ""]
    if any(isinstance(action, Join) and action.control_plane for _, action in _all(stages)):
        lines += [OF_FURTHER_MASTERS, ""]
    return "\n".join(lines)


def _all(stages: Sequence[Stage]) -> Iterator[tuple[str, Action]]:
    for stage in stages:
        for step in stage.steps:
            yield from ((step.host.name, action) for action in step.actions)


def summary(stages: Sequence[Stage]) -> str:
    """A line for each action of each host."""
    lines = [f"{host}: {action.title()}" for host, action in _all(stages)]
    return "\n".join(lines) + "\n" if lines else NOTHING


def _action(action: Action) -> Iterator[str]:
    yield f"{action.title()[0].upper()}{action.title()[1:]}."
    yield ""
    match action:
        case Renew():
            yield f"{action.daemon.name}: {action.daemon.about}."
            yield ""
            before = dict(action.before)
            for file in action.files:
                yield from _difference(file, before[file.path]) if file.path in before else _file(file)
            yield from _block("sh", "\n".join(_commands(action)))
            yield from _well(action.daemon)
        case Bring():
            yield from _block("sh", f"# this installation, packed, is the input\n{action.script()}")
        case Initialise():
            yield from _block("sh", action.script())
            yield f"It makes the certificates and kubeconfigs. {STARTED}"
            yield ""
            yield from _daemons(action.daemons)
        case Join():
            yield from _block("yaml", action.shown)
            yield from _block("sh", f"# that file is the input\n{action.script()}")
            yield STARTED
            yield ""
            yield from _daemons(action.daemons)
        case _:
            yield from _block("sh", action.script())


def _commands(action: Renew) -> list[str]:
    """Without what the shell needs to replace files safely: these are shown above."""
    name = action.daemon.name
    if action.reload:
        return [" ".join(action.daemon.reload)]
    return ["systemctl daemon-reload", f"systemctl enable {name}", f"systemctl restart {name}"]


def _daemons(daemons: Sequence[Daemon]) -> Iterator[str]:
    for daemon in daemons:
        yield f"### {daemon.name}"
        yield ""
        yield f"{daemon.about[0].upper()}{daemon.about[1:]}."
        yield ""
        for file in (*daemon.files, systemd.unit(daemon, (PROGRAM,))):
            yield from _file(file)
        yield from _well(daemon)


def _file(file: File) -> Iterator[str]:
    yield f"{file.path} (mode {file.mode:04o}):"
    yield ""
    yield from _block("", file.text.rstrip("\n"))


def _difference(file: File, before: str) -> Iterator[str]:
    if file.text == before:
        yield f"{file.path}: only its mode changes, to {file.mode:04o}."
        yield ""
        return
    yield f"{file.path} (mode {file.mode:04o}) changes:"
    yield ""
    changed = difflib.unified_diff(before.splitlines(), file.text.splitlines(), "before", "after", lineterm="", n=1)
    yield from _block("diff", "\n".join(changed))


def _block(language: str, text: str) -> Iterator[str]:
    fence = "```"
    while fence in text:
        fence += "`"
    yield f"{fence}{language}"
    yield from text.splitlines()
    yield fence
    yield ""


def _well(daemon: Daemon) -> Iterator[str]:
    check = daemon.check
    if check is not None:
        yield f"It is well when {f'{check.url} answers 200' if check.url else f'{check.address} takes connections'}."
        yield ""
