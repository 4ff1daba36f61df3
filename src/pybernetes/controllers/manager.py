"""Runs the controllers (upstream: cmd/kube-controller-manager/app/controllermanager.go). Leader election is the caller's."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from pybernetes.aio.clock import Clock, RealClock
from pybernetes.client.events import EventBroadcaster
from pybernetes.client.types import Client, Informers
from pybernetes.component.metrics import Registry

from . import selected
from .framework import Context, Controller
from .options import Options

_log = logging.getLogger(__name__)


def controllers(context: Context) -> list[Controller]:
    """Those that the options select, ready to run; one that lacks what it needs says so in the log and is left out."""
    running: list[Controller] = []
    for entry in selected(context.options.controllers):
        kind = entry.load()
        missing = kind.lacks(context.options)
        if missing:
            _log.warning("skipping %s: %s", entry.name, missing)
            continue
        running.append(kind(context))
    return running


async def run(
    client: Client,
    informers: Informers,
    options: Options,
    clock: Clock | None = None,
    registry: Registry | None = None,
    client_for: Callable[[str], Client] | None = None,
) -> None:
    """Runs controllers and informers until cancelled; raises if one of them ends by itself."""
    clock = clock or RealClock()
    events = EventBroadcaster(client, clock)
    context = Context(client, informers, events, clock, options, registry or Registry(), client_for)
    running = controllers(context)
    async with asyncio.TaskGroup() as group:
        group.create_task(events.run(), name="events")
        for controller in running:
            group.create_task(controller.run(), name=controller.name)
        group.create_task(informers.run(), name="informers")
