"""What a store asks for beside the object: cluster addresses and node ports, given before the write and taken back if it fails.

Upstream: BeginCreate, BeginUpdate and AfterDelete of registry/generic/registry/store.go.
"""

from __future__ import annotations

from typing import Protocol

from ..resource import Object


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


class _Nothing:
    async def commit(self) -> None:
        pass

    async def revert(self) -> None:
        pass


NOTHING: Allocation = _Nothing()
