"""Units of systemd."""

from __future__ import annotations

from collections.abc import Sequence

from ..model import Daemon, File

FOLDER = "/etc/systemd/system"


def unit(daemon: Daemon, pybernetes: Sequence[str] = ("/usr/local/bin/pybernetes",)) -> File:
    """NAME.service. It is started again whatever it ends of; what ran before it must have been started, and may be away later."""
    after = ["network-online.target", *(f"{name}.service" for name in daemon.after)]
    lines = [
        "[Unit]",
        f"Description={daemon.name}: {daemon.about}",
        "Wants=network-online.target",
        f"After={' '.join(after)}",
        "StartLimitIntervalSec=0",
        "",
        "[Service]",
        *(f'Environment="{name}={_escaped(value)}"' for name, value in sorted(daemon.environment.items())),
        *(f"ExecStartPre=/bin/mkdir -p -m 0700 {_quoted(path)}" for path in daemon.directories),
        f"ExecStart={_command(daemon.command(pybernetes))}",
        *([f"ExecReload={_command(daemon.reload)}"] if daemon.reload else []),
        "Restart=always",
        "RestartSec=2",
        "LimitNOFILE=1048576",
        # Pods' processes are the kubelet's business: its own restart ends none.
        *(["KillMode=process", "Delegate=yes"] if daemon.program in ("kubelet", "dockerd") else []),
        "",
        "[Install]",
        "WantedBy=multi-user.target",
        "",
    ]
    return File(f"{FOLDER}/{daemon.name}.service", "\n".join(lines))


def arguments(text: str) -> list[str]:
    """Those that a unit of ours gives its program, as they stand in it."""
    command = text.partition("\nExecStart=")[2].partition("\n\n")[0]
    lines = [line.strip().removesuffix(" \\") for line in command.splitlines()]
    return [line.strip('"').replace("%%", "%").replace("$$", "$") for line in lines if line.startswith(("-", '"-'))]


def _command(argv: Sequence[str]) -> str:
    return " \\\n  ".join(_quoted(argument) for argument in argv)


def _quoted(text: str) -> str:
    """systemd expands % and $, and splits at spaces (systemd.service(5), systemd.syntax(7))."""
    escaped = _escaped(text).replace("$", "$$")
    return f'"{escaped}"' if not text or any(c in text for c in " \t;\"'\\") else escaped


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
