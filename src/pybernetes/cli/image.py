"""`pybernetes image`: this installation as a container image, for clusters that no registry serves."""

from __future__ import annotations

import tempfile
from pathlib import Path

from pybernetes.component import command, flags
from pybernetes.component.command import Failure, UsageError
from pybernetes.component.flags import Flag, Values

PROGRAM = "pybernetes image"
FLAGS = (Flag("output", flags.string, "", "The file to write, for `docker load -i FILE`."),)


def main(arguments: list[str]) -> int:
    """0 when the file is there, whole."""
    return command.once(PROGRAM, FLAGS, run, arguments)


def run(values: Values) -> None:
    """Prints the names by which pods may ask for the image."""
    from pybernetes.cluster.image import LOCAL_NAME, ImageError, build

    if not values["output"]:
        raise UsageError("--output is missing: the file to write")
    output = Path(values["output"])
    try:
        with tempfile.TemporaryDirectory(prefix=f".{output.name}.", dir=output.absolute().parent) as folder:
            image = build(Path(folder))
            image.path.replace(output)
    except (ImageError, OSError) as error:
        raise Failure(f"the image cannot be packed: {error}") from error
    print(f"{output}: {image.name}, {LOCAL_NAME}")
