"""A host as text: what --dry-run prints, readable as an installation guide."""

from __future__ import annotations

from collections.abc import Sequence

from ..model import Cluster, Daemon, Host


def host_guide(cluster: Cluster, host: Host, daemons: Sequence[Daemon]) -> str:
    """Each daemon with its files and its command line, in the order of their start."""
    lines = [f"# {host.name} ({host.address}): {', '.join(host.roles)}", ""]
    for daemon in daemons:
        lines += [f"## {daemon.name}", "", f"It {daemon.about}.", ""]
        if daemon.after:
            lines += [f"Runs after {', '.join(daemon.after)}.", ""]
        for file in daemon.files:
            lines += [f"{file.path} (mode {file.mode:04o}):", "", "```", file.text.rstrip("\n"), "```", ""]
        environment = "".join(f"{name}={value} \\\n" for name, value in sorted(daemon.environment.items()))
        lines += ["```sh", f"{environment}{daemon.text()}", "```", ""]
        if daemon.check is not None:
            lines += [f"Well when {_well(daemon)}.", ""]
    return "\n".join(lines)


def _well(daemon: Daemon) -> str:
    check = daemon.check
    if check is None:
        return ""
    return f"{check.url} answers 200" if check.url else f"{check.address} takes connections"
