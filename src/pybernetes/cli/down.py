"""`pybernetes down`."""

from __future__ import annotations

from pybernetes.component import command, flags
from pybernetes.component.flags import Flag, Values

PROGRAM = "pybernetes down"
FLAGS = (
    Flag("data-dir", flags.string, "", "The cluster's directory (default: /var/lib/pybernetes, as root)."),
    Flag("purge", flags.boolean, False, "Delete the data too: objects, certificates, logs, volumes."),
)


def main(arguments: list[str]) -> int:
    """0 when nothing is left."""
    return command.once(PROGRAM, FLAGS, run, arguments)


def run(values: Values) -> None:
    from pybernetes.cluster.down import down
    from pybernetes.cluster.layout import data_dir
    from pybernetes.cluster.progress import Progress

    down(data_dir(values["data-dir"]), values["purge"], Progress())
