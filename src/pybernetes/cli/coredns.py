"""`pybernetes coredns` with CoreDNS's flags: -conf Corefile -dns.port 53 (upstream: coremain/run.go)."""

from __future__ import annotations

from pathlib import Path

from pybernetes import __version__
from pybernetes.component import command, flags
from pybernetes.component.command import Failure, UsageError
from pybernetes.component.flags import Flag, Values

PROGRAM = "pybernetes coredns"

FLAGS = (
    Flag("conf", flags.string, "Corefile", "Corefile to load."),
    Flag("dns.port", flags.integer, 53, "Default port."),
    Flag("p", flags.integer, 0, "Default port."),
    Flag("plugins", flags.boolean, False, "List the plugins that are there."),
    Flag("quiet", flags.boolean, False, "Quiet mode (no initialization output)."),
    Flag("version", flags.boolean, False, "Show version."),
    command.VERBOSITY,
)


def main(arguments: list[str]) -> int:
    """Runs until SIGTERM or SIGINT. Flags may have one dash, as Go's do."""
    given = [f"-{a}" if a.startswith("-") and not a.startswith("--") and a != "-h" else a for a in arguments]
    return command.main(PROGRAM, FLAGS, run, given)


async def run(values: Values) -> None:
    """Serves until cancelled."""
    version = f"CoreDNS-pybernetes-{__version__}"
    if values["version"]:
        print(version)
        return
    if values["plugins"]:
        from pybernetes.dns.plugins import ORDER

        print("Server types:\n  dns\n\nOther plugins:")
        print("\n".join(f"  dns.{name}" for name in sorted(ORDER)))
        return
    from pybernetes.dns.app import App, StartError

    path = Path(values["conf"])
    if not path.is_file():
        raise UsageError(f"-conf {path}: there is no such file")

    def banner(line: str) -> None:
        if not values["quiet"]:
            print(line, flush=True)

    try:
        app = App(path, values["p"] or values["dns.port"], banner)
        banner(version)
        await app.run()
    except StartError as error:
        raise Failure(str(error)) from error
