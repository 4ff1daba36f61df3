"""What watchers were told beside what etcd has: every event once, in order, from where they began; and no write lost."""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from .history import Kind, Listing, Operation, Outcome


@dataclass(frozen=True, slots=True)
class Told:
    """One event: the key was written at this revision, or deleted."""

    revision: int
    key: str
    deleted: bool = False


@dataclass(slots=True)
class Watched:
    """What one watcher was told since a list, over all its connections."""

    watcher: int
    after: int
    events: list[Told] = field(default_factory=list)

    @property
    def last(self) -> int:
        """The newest revision that it knows of."""
        return self.events[-1].revision if self.events else self.after


class Log:
    """All that etcd has ever had below the keys in question, in order."""

    def __init__(self, events: Iterable[Told]) -> None:
        self.events = list(events)
        self._revisions = [one.revision for one in self.events]
        self._by_revision = {one.revision: one for one in self.events}

    def between(self, after: int, last: int) -> Sequence[Told]:
        """Those after a revision, up to another one."""
        return self.events[bisect.bisect_right(self._revisions, after) : bisect.bisect_right(self._revisions, last)]

    def has(self, revision: int, key: str) -> bool:
        """Whether the key was written then."""
        found = self._by_revision.get(revision)
        return found is not None and found.key == key and not found.deleted


def watch_problems(log: Log, watched: Iterable[Watched]) -> list[str]:
    """Events that a watcher missed, saw twice, in another order, or that never were."""
    problems = []
    for one in watched:
        revisions = [told.revision for told in one.events]
        for before, after in itertools.pairwise(revisions):
            if after <= before:
                problems.append(f"watcher {one.watcher}: revision {after} came after {before}")
        right = log.between(one.after, one.last)
        missing, never = sorted(set(right) - set(one.events), key=_revision), set(one.events) - set(right)
        if missing:
            problems.append(f"watcher {one.watcher} from {one.after}: missed {len(missing)} events, first {missing[0]}")
        if never:
            problems.append(
                f"watcher {one.watcher} from {one.after}: {len(never)} events that never were, {min(never, key=_revision)}"
            )
    return problems


def back_problems(watched: Sequence[Watched]) -> list[str]:
    """Lists after which a watcher knew of less than before. `watched` in the order of time."""
    last: dict[int, int] = {}
    problems = []
    for one in watched:
        if one.after < last.get(one.watcher, 0):
            problems.append(f"watcher {one.watcher}: listed at {one.after} after it had seen {last[one.watcher]}")
        last[one.watcher] = one.last
    return problems


def lost_problems(log: Log, operations: Iterable[Operation]) -> list[str]:
    """Acknowledged writes that etcd does not have."""
    return [
        f"lost: {one}"
        for one in operations
        if one.kind in (Kind.CREATE, Kind.UPDATE) and one.outcome is Outcome.DONE and not log.has(one.revision, one.key)
    ]


def list_problems(log: Log, listings: Iterable[Listing]) -> list[str]:
    """Lists that are not what there was at their revision."""
    problems, present = list[str](), dict[str, int]()
    seen = 0
    for listing in sorted(listings, key=lambda one: one.revision):
        for one in log.between(seen, listing.revision):
            if one.deleted:
                present.pop(one.key, None)
            else:
                present[one.key] = one.revision
        seen = listing.revision
        right = {key: revision for key, revision in present.items() if key.startswith(listing.prefix)}
        if right != listing.items:
            wrong = sorted({key for key in {*right, *listing.items} if right.get(key) != listing.items.get(key)})
            problems.append(f"the list at {listing.revision} is wrong in {wrong[:3]}: {listing}")
    return problems


def _revision(one: Told) -> int:
    return one.revision
