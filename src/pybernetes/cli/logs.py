"""`pybernetes logs PART`."""

from __future__ import annotations

import sys
import time
from functools import partial
from pathlib import Path

from pybernetes.component import command, flags
from pybernetes.component.command import UsageError
from pybernetes.component.flags import Flag, Values

PROGRAM = "pybernetes logs PART"
FLAGS = (
    Flag("data-dir", flags.string, "", "The cluster's directory (default: /var/lib/pybernetes, as root)."),
    Flag("follow", flags.boolean, False, "Go on with what is written, until interrupted; also -f."),
    Flag("tail", flags.integer, -1, "Only so many of the last lines; -1: all."),
)
FOLLOW_SECONDS = 0.2


def main(arguments: list[str]) -> int:
    """Prints the log of a part."""
    names, options = split(arguments)
    return command.once(PROGRAM, FLAGS, partial(run, names), options)


def split(arguments: list[str]) -> tuple[list[str], list[str]]:
    """Names and flags, in any order; what follows a flag that wants a value is its value."""
    valued = {f"--{flag.name}" for flag in FLAGS if flag.type is not flags.boolean}
    names: list[str] = []
    options: list[str] = []
    for word in arguments:
        if word.startswith("-") or (options and options[-1] in valued):
            options.append("--follow" if word == "-f" else word)
        else:
            names.append(word)
    return names, options


def run(names: list[str], values: Values) -> None:
    from pybernetes.cluster.layout import Layout, data_dir

    folder = Layout(data_dir(values["data-dir"])).logs
    present = sorted(path.stem for path in folder.glob("*.log"))
    if not present:
        raise UsageError(f"no logs in {folder}")
    if len(names) != 1 or names[0] not in present:
        asked = f"{' '.join(names)}: there is no log of that name; " if names else ""
        raise UsageError(f"{asked}name one of: {', '.join(present)}")
    if values["tail"] < -1:
        raise UsageError(f"--tail={values['tail']}: want a number of lines, or -1 for all")
    try:
        show(folder / f"{names[0]}.log", values["tail"], values["follow"])
    except (KeyboardInterrupt, BrokenPipeError):
        return  # how one ends reading


def show(path: Path, tail: int, follow: bool) -> None:
    """The file, then what is added to it; starts over where it was cut by rotation."""
    with path.open("rb") as file:
        lines = file.readlines()
        sys.stdout.buffer.writelines(lines if tail < 0 else lines[len(lines) - min(tail, len(lines)) :])
        sys.stdout.flush()
        while follow:
            time.sleep(FOLLOW_SECONDS)
            if path.stat().st_size < file.tell():
                file.seek(0)
            sys.stdout.buffer.write(file.read())
            sys.stdout.flush()
