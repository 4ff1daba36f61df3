"""`pybernetes version`."""

from __future__ import annotations

import json

from pybernetes import __version__
from pybernetes.component import command, flags
from pybernetes.component.command import UsageError
from pybernetes.component.flags import Flag, Values

PROGRAM = "pybernetes version"
OUTPUT = Flag("output", flags.string, "", "Output format; available options are 'yaml', 'json' and 'short'.", short="o")


def main(arguments: list[str]) -> int:
    """Prints one line, or an object."""
    return command.once(PROGRAM, (OUTPUT,), run, arguments)


def run(values: Values) -> None:
    """`short` is the version of Kubernetes, as kubeadm's. UsageError."""
    from pybernetes.api import version

    form = values["output"]
    facts = {"pybernetes": __version__, "kubernetes": f"v{version.KUBERNETES}", "gitVersion": version.GIT_VERSION}
    facts |= {"gitCommit": version.commit(), "buildDate": version.build_date()}
    if form == "":
        print(f"pybernetes {__version__}")
    elif form == "short":
        print(f"v{version.KUBERNETES}")
    elif form == "json":
        print(json.dumps({"clientVersion": facts}, indent=2))
    elif form == "yaml":
        print("clientVersion:", *(f"  {name}: {json.dumps(value)}" for name, value in facts.items()), sep="\n")
    else:
        raise UsageError(f"invalid output format: {form}: want yaml, json or short")
