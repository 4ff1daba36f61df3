"""multisocket [NUMBER]: so many sockets on each port (SO_REUSEPORT), each served by a process of its own (upstream: plugin/multisocket).

Upstream's are served by one process, whose threads share all. A Python process keeps one core busy: the others are started beside it, with
their own copies of the cluster's objects and caches (see `worker`).
"""

from __future__ import annotations

import os

from ..corefile import Directive
from ..plugin import BlockContext, Plugin

NAME = "multisocket"
MAX_SOCKETS = 64  # upstream's is 1024, of what costs it a goroutine each


class MultiSocket(Plugin):
    """Ready when the other processes are."""

    name = NAME

    def __init__(self, block: BlockContext) -> None:
        super().__init__()
        self._block = block

    def ready(self) -> bool:
        return self._block.others is None or self._block.others.ready


def setup(directive: Directive, block: BlockContext) -> Plugin:
    """CorefileError."""
    directive.no_block()
    if len(directive.arguments) > 1 or any(isinstance(plugin, MultiSocket) for plugin in block.plugins):
        raise directive.wrong_arguments()
    if not directive.arguments:
        block.sockets = min(len(os.sched_getaffinity(0)), MAX_SOCKETS)
        return MultiSocket(block)
    text = directive.arguments[0]
    if not text.removeprefix("-").isdecimal() or len(text) > 9:
        invalid = f'invalid num sockets: strconv.Atoi: parsing "{text}": invalid syntax'
        raise directive.error(f"plugin/multisocket: {invalid}")
    number = int(text)
    if number < 1:
        raise directive.error(f"plugin/multisocket: num sockets can not be zero or negative: {number}")
    if number > MAX_SOCKETS:
        raise directive.error(f"plugin/multisocket: num sockets exceeds maximum ({MAX_SOCKETS}): {number}")
    block.sockets = number
    return MultiSocket(block)
