"""The store's interface: a revisioned key-value log (after etcd v3's key-value model).

Every successful write takes the next revision. A write is acknowledged only when it is as durable as the
backend promises; a refused write changes nothing and takes no revision.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol, runtime_checkable


@dataclass(frozen=True, slots=True)
class KeyValue:
    """One key's value as of the revision that wrote it. `problem`: why the value cannot be read; it is as it is stored then."""

    key: str
    value: bytes
    create_revision: int
    mod_revision: int
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Event:
    """One write. For a delete, `current` is None and `revision` is the deletion's own."""

    revision: int
    key: str
    current: KeyValue | None


@dataclass(frozen=True, slots=True)
class Progress:
    """Of a watch: all its events up to this revision, and of this one, have been told (etcd's progress notification)."""

    revision: int


@dataclass(frozen=True, slots=True)
class Page:
    """Part of a list: `items` in key order, all as of `revision`; `more` if keys are left after the last."""

    items: list[KeyValue]
    revision: int
    more: bool


class StoreError(Exception):
    """Any refusal of the store."""


class Conflict(StoreError):
    """The key is not at the expected revision; `current` is what stands there, or None."""

    def __init__(self, key: str, expected: int, current: KeyValue | None) -> None:
        revision = current.mod_revision if current else 0
        super().__init__(f"key {key!r} is at revision {revision}, expected {expected}: read it again and retry")
        self.current = current


class Compacted(StoreError):
    """The asked revision is older than what the log still holds."""

    def __init__(self, asked: int, oldest: int) -> None:
        super().__init__(f"revision {asked} has been compacted, the oldest available is {oldest}: list again")
        self.oldest = oldest


class Restored(StoreError):
    """The store has another history than it had: it was restored from a copy, or has lost its data."""

    def __init__(self, before: int, now: int) -> None:
        super().__init__(
            f"the store was at revision {before} and has the state of another time now, at {now}: list again"
        )
        self.now = now


class FutureRevision(StoreError):
    """The asked revision has not been written yet."""

    def __init__(self, asked: int, newest: int) -> None:
        super().__init__(f"revision {asked} is in the future, the newest is {newest}")
        self.newest = newest


class NoSpace(StoreError):
    """There is no room for this write; reads and deletions go on, and so does everything once there is room again."""


class Closed(StoreError):
    """The store was closed before it could do what was asked; nothing was written."""


class Store(Protocol):
    """Rules that every backend keeps (tests/unit/store plays them on each).

    `expected` is the revision that the key must be at: 0 for "must not exist", None for "whatever it is".
    """

    async def revision(self) -> int:
        """The newest revision; 0 before the first write."""

    async def list(self, prefix: str, *, after: str = "", limit: int = 0, revision: int = 0) -> Page:
        """Keys with the prefix that sort after `after`; at most `limit` (0: all), as of `revision` (0: newest)."""

    async def put(self, key: str, value: bytes, expected: int | None = None) -> KeyValue:
        """Writes; raises Conflict."""

    async def delete(self, key: str, expected: int | None = None) -> Event | None:
        """Deletes and returns the event, None if there was nothing and nothing was expected; raises Conflict."""

    def watch(self, prefix: str, after: int) -> AsyncIterator[Event | Progress]:
        """Each write to the prefix after the revision, in order; ends when the store is closed.

        Whoever waits for a revision is never left waiting: where the newest one is another prefix's, Progress tells it
        soon. Raises Compacted where the log does not reach back so far: at the first step, or later where the watch
        was cut off for long. Restored where what was told before is not in the log any more. Revisions never go back,
        nor does one come twice as an event.
        """

    async def compact(self, revision: int) -> None:
        """Forgets what only revisions before this one can see. Current values always stay."""

    async def close(self) -> None:
        """Ends watches and refuses writes from now on; what was acknowledged stays."""


@runtime_checkable
class Counted(Protocol):
    """A store whose newest revision is at hand."""

    def newest_revision(self) -> int:
        """What `Store.revision` tells, without a wait."""
