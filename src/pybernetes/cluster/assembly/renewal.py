"""Daemons of a host are brought to how they are described now, one after the other, each seen to be well before the next one; where one
does not become well, all go back to the files that they had (upstream: cmd/kubeadm/app/phases/upgrade/staticpods.go)."""

from __future__ import annotations

import stat
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pybernetes.component.command import Failure
from pybernetes.deploy.daemons.model import Daemon
from pybernetes.deploy.upgradeplan import Difference
from pybernetes.pki.files import write

from . import hoststate
from .runner import ORDER, RunError, Runner
from .work import CONTROL_PLANE_SECONDS, Work

BACKUPS = Path("/var/lib/pybernetes/backups")  # of before each upgrade


@dataclass(frozen=True, slots=True)
class _Begun:
    """A daemon that was started anew; `added`: it is new on this host."""

    daemon: Daemon
    before: Kept
    added: bool


@dataclass(frozen=True, slots=True)
class Kept:
    """Files as they were: (content, mode), None of one that was not there."""

    files: Mapping[Path, tuple[bytes, int] | None]

    def put_back(self) -> None:
        """OSError."""
        for path, present in self.files.items():
            if present is None:
                path.unlink(missing_ok=True)
            else:
                write(path, *present)


def kept(paths: Sequence[Path]) -> Kept:
    """OSError."""
    return Kept(
        {path: (path.read_bytes(), stat.S_IMODE(path.stat().st_mode)) if path.exists() else None for path in paths}
    )


def due(runner: Runner, daemon: Daemon, changed: Sequence[Difference]) -> bool:
    """Whether a daemon starts anew: where something of it differs, and those of pybernetes also where what runs may be of another release."""
    return any(one.daemon == daemon.name for one in changed) or (daemon.ours and not runner.pinned(daemon.name))


def renew(
    work: Work,
    phase: str,
    daemons: Sequence[Daemon],
    seconds: float,
    judge: Callable[[Daemon], None] = lambda one: None,
) -> None:
    """Those that are due. `judge` is asked when one is well, and raises Failure for what it is not. Failure when all are as before, or not
    even that."""
    begun: list[_Begun] = []
    try:
        for daemon in sorted(daemons, key=lambda daemon: ORDER.index(daemon.name)):
            changed = work.runner.differences([daemon])
            if not due(work.runner, daemon, changed):
                work.tell(f"[upgrade/{phase}] {daemon.name} is as it is to be: it runs on")
                continue
            files = ", ".join(dict.fromkeys(one.path for one in changed))
            work.tell(f"[upgrade/{phase}] {f'Writing {files}; s' if files else 'S'}tarting {daemon.name} anew")
            begun.append(_Begun(daemon, kept(work.runner.described_in(daemon)), daemon.name not in work.state.daemons))
            work.state.daemons = list(dict.fromkeys([*work.state.daemons, daemon.name]))
            hoststate.save(work.state)
            work.runner.describe([daemon])
            work.runner.again([daemon.name])
            work.well(f"upgrade/{phase}", daemon, seconds)
            judge(daemon)
    except (Failure, RunError, OSError) as error:
        raise Failure(f"{error}; {_rolled_back(work, phase, begun)}") from error


def _rolled_back(work: Work, phase: str, begun: Sequence[_Begun]) -> str:
    """In the opposite order; what came of it, in words. What ran before gets all the time that it may need, however soon the user wanted
    the new one."""
    if not begun:
        return "nothing was changed"
    problems = []
    for one in reversed(begun):
        name = one.daemon.name
        work.tell(f"[upgrade/{phase}] Putting back the files of {name}{'' if one.added else ', and starting it anew'}")
        try:
            if one.added:
                work.runner.stop([name])
                work.state.daemons.remove(name)
                hoststate.save(work.state)
            one.before.put_back()
            if not one.added:
                work.runner.again([name])
                work.well(f"upgrade/{phase}", one.daemon, CONTROL_PLANE_SECONDS)
        except (Failure, RunError, OSError) as error:
            problems.append(f"{name}: {error}")
    if problems:
        return f"with the files before {'; '.join(problems)}"
    present = [one.daemon.name for one in begun if not one.added]
    words = [f"{', '.join(present)} run{'s' if len(present) == 1 else ''} with the files before"] if present else []
    words += [f"{one.daemon.name} is gone again" for one in begun if one.added]
    return f"rolled back: {', '.join(words)}"
