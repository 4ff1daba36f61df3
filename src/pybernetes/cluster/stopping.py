"""The end of a supervisor and of the parts that it runs."""

from __future__ import annotations

import os
import signal
import time

from pybernetes.component.command import Failure

from . import state
from .layout import Layout


class ClusterError(Failure):
    """What stopped `up` or `down`, and what to do; one line or a few."""


def stop_supervisor(layout: Layout, seconds: float = 40.0) -> bool:
    """Ends the parts; whether there were any. ClusterError if they do not go."""
    pid = state.supervisor_pid(layout)
    if not pid:
        return False
    end = time.monotonic() + seconds
    try:
        if state.alive(pid):  # else it was killed; its parts, which hold the lock, are on their way out
            os.kill(pid, signal.SIGTERM)
    except ProcessLookupError:
        pass
    except PermissionError:
        raise ClusterError(
            f"the cluster in {layout.root} belongs to another user: use their account, or root"
        ) from None
    while state.supervisor_pid(layout):
        if time.monotonic() > end:
            raise ClusterError(f"the parts have not stopped within {seconds:.0f} s; see pybernetes status")
        time.sleep(0.05)
    return True
