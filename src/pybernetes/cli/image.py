"""`pybernetes image`: this installation as a container image, for clusters that no registry serves."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from pybernetes.component import command, flags
from pybernetes.component.command import Failure, UsageError
from pybernetes.component.flags import Flag, Values

if TYPE_CHECKING:
    from pybernetes.cluster.image import Contents

PROGRAM = "pybernetes image"
FLAGS = (
    Flag("contents", flags.string, "pybernetes", "Which: pybernetes, pybernetes-ingress or pybernetes-control-plane."),
    Flag("load", flags.boolean, False, "Give it to this host's Docker, as init and join do."),
    Flag("output", flags.string, "", "The file to write, for `docker load -i FILE`."),
)


def main(arguments: list[str]) -> int:
    """0 when the file is there, whole, or Docker has it."""
    return command.once(PROGRAM, FLAGS, run, arguments)


def run(values: Values) -> None:
    """Prints the names by which pods may ask for the image."""
    from pybernetes.cluster.image import ALL

    contents = next((one for one in ALL if one.name == values["contents"]), None)
    if contents is None:
        raise UsageError(f"--contents={values['contents']}: choose one of {', '.join(one.name for one in ALL)}")
    if bool(values["output"]) == values["load"]:
        raise UsageError("give one of --output, the file to write, and --load")
    place = _loaded(contents) if values["load"] else _written(Path(values["output"]), contents)
    print(f"{place}: {', '.join(filter(None, (contents.full_name, contents.local)))}")


def _loaded(contents: Contents) -> str:
    from pybernetes.cluster.assembly.addons import give_image

    give_image(contents)
    return "Docker"


def _written(output: Path, contents: Contents) -> str:
    from pybernetes.cluster.image import ImageError, build

    try:
        with tempfile.TemporaryDirectory(prefix=f".{output.name}.", dir=output.absolute().parent) as folder:
            image = build(Path(folder), contents)
            image.path.replace(output)
    except (ImageError, OSError) as error:
        raise Failure(f"the image cannot be packed: {error}") from error
    return str(output)
