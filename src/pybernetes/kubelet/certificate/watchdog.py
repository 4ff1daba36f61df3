"""Ends a kubelet that cannot get a client certificate any more (upstream: pkg/kubelet/certificate/transport.go)."""

from __future__ import annotations

import logging
from collections.abc import Callable

from pybernetes.aio.clock import Clock

from .plan import EXIT_SECONDS, given_up, unusable
from .store import FileStore

_log = logging.getLogger(__name__)

LOOK_SECONDS = 10.0


class NoCertificateError(Exception):
    """The kubelet is of no use as it is; says why."""


async def watch(store: FileStore, clock: Clock, responsive: Callable[[], bool]) -> None:
    """Until cancelled; NoCertificateError where there was no valid certificate for EXIT_SECONDS and the server answers.

    The time that the machine sleeps does not count: whoever wakes has those minutes to renew what ended meanwhile.
    """
    valid = clock.monotonic()
    told = False
    while True:
        await clock.sleep(LOOK_SECONDS)
        reason = unusable(store.leaf(), clock.now())
        if not reason:
            valid, told = clock.monotonic(), False
            continue
        idle = clock.monotonic() - valid
        if given_up(idle, responsive()):
            text = f"no valid client certificate is found ({reason}) and the server is responsive, exiting"
            raise NoCertificateError(f"{text}: a start with --bootstrap-kubeconfig can get a new one")
        if idle > EXIT_SECONDS and not told:
            told = True
            text = "no valid client certificate is found (%s) but the server is not responsive; a restart may be necessary to "
            _log.error(text + "retrieve new initial credentials", reason)
