"""What a store asks for beside the object: cluster addresses and node ports, given before the write and taken back if it fails.

Upstream: BeginCreate, BeginUpdate and AfterDelete of registry/generic/registry/store.go.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable
from datetime import datetime
from typing import Protocol

from ..resource import Object, Resource
from ..types import Admission
from .cache import Stored, WatchCache
from .options import WriteOptions
from .store import AuthorizeCreate, GenericStore


class Allocation(Protocol):
    """What was given for one write. Exactly one of the two is called, once."""

    async def commit(self) -> None:
        """The write stands: what the object no longer needs is free."""
        ...

    async def revert(self) -> None:
        """The write failed: what was given for it is free again."""
        ...


class Allocator(Protocol):
    """Fills in what it gives. Raises StatusError, having given nothing, where it cannot."""

    async def create(self, obj: Object, dry_run: bool) -> Allocation: ...

    async def update(self, new: Object, old: Object, dry_run: bool) -> Allocation: ...

    async def deleted(self, obj: Object) -> None:
        """The object is gone for good."""
        ...


class AllocatingStore(GenericStore):
    """A store whose objects ask for something beside themselves, as Services do for addresses and ports.

    `allocator` is asked when all else of an object is filled in, and before it is checked; not for subresources.
    """

    def __init__(
        self,
        resource: Resource,
        cache: WatchCache,
        admission: Admission | None = None,
        *,
        allocator: Allocator,
        authorize_create: AuthorizeCreate | None = None,
        now: Callable[[], datetime] | None = None,
        since: int = 0,
    ) -> None:
        super().__init__(resource, cache, admission, authorize_create=authorize_create, now=now, since=since)
        self._allocator = allocator

    async def _create_prepared(self, obj: Object, namespace: str, options: WriteOptions) -> Object:
        if self._metadata_problems(obj["metadata"]):  # nothing is given to what will be refused: records need a name
            return await super()._create_prepared(obj, namespace, options)
        allocation = await self._allocator.create(obj, options.dry_run)
        async with _standing(allocation):
            return await super()._create_prepared(obj, namespace, options)

    async def _write_prepared(
        self, key: str, stored: Stored, old: Object, new: Object, options: WriteOptions, subresource: str
    ) -> Object:
        if subresource:
            return await super()._write_prepared(key, stored, old, new, options, subresource)
        allocation = await self._allocator.update(new, old, options.dry_run)
        async with _standing(allocation):
            return await super()._write_prepared(key, stored, old, new, options, subresource)

    async def _remove(self, key: str, expected: int, last: Object) -> int:
        revision = await super()._remove(key, expected, last)
        await self._allocator.deleted(last)
        return revision


@contextlib.asynccontextmanager
async def _standing(allocation: Allocation) -> AsyncIterator[None]:
    """Commits at the end of what goes well; takes back at the end of all else, cancellation too."""
    try:
        yield
    except BaseException:
        await allocation.revert()
        raise
    await allocation.commit()
