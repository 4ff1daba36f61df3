"""Gives Services their addresses and node ports with each write (upstream: pkg/registry/core/service/storage/alloc.go)."""

from __future__ import annotations

from collections.abc import Awaitable

from ..generic.allocation import Allocation
from ..resource import Object
from . import assign, families
from .given import Given
from .pool import Pool
from .records import own_addresses, own_ports


class ServiceAllocator:
    """See `generic.allocation.Allocator`."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def create(self, obj: Object, dry_run: bool) -> Allocation:
        families.fill_in(obj, None, self._pool.configured)
        given = Given(self._pool, obj, dry_run)
        await _or_nothing(given, assign.create(given, obj))
        return given

    async def update(self, new: Object, old: Object, dry_run: bool) -> Allocation:
        families.fill_in(new, old, self._pool.configured)
        given = Given(self._pool, new, dry_run)
        await _or_nothing(given, assign.update(given, new, old))
        return given

    async def deleted(self, obj: Object) -> None:
        spec = obj.get("spec") or {}
        await self._pool.release(obj, own_addresses(spec), own_ports(spec))


async def _or_nothing(given: Given, work: Awaitable[None]) -> None:
    try:
        await work
    except BaseException:
        await given.revert()
        raise
