"""Whether there is an order of all operations in which each could have happened between its call and its answer.

The search of Wing and Gong (1993) with the memory of states of Lowe (2017), as Knossos and Porcupine have it. Each key is a register by
itself: a history is linearizable if that of each key is (Herlihy and Wing). What has no known outcome may have happened at any time after
its call, or never.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from .history import Kind, Listing, Operation, Outcome

MAX_STEPS = 2_000_000  # of the search for one key; beyond it nothing is said
UNSEEN = -1  # the resource version of a write whose answer nobody had


@dataclass(frozen=True, slots=True)
class Register:
    """An object that is there."""

    value: str
    revision: int


State = Register | None
IMPOSSIBLE = Register("impossible", -2)


class Undecided(Exception):
    """The search was given up."""


def step(state: State, operation: Operation) -> State:
    """What is there after it, IMPOSSIBLE where it cannot have had its outcome here.

    What is unknown either takes effect here, or has not happened at all: without an effect it need not stand anywhere.
    """
    outcome, unknown = operation.outcome, operation.outcome is Outcome.UNKNOWN
    if outcome is Outcome.NOT_FOUND:
        return None if state is None and operation.kind is not Kind.CREATE else IMPOSSIBLE
    if operation.kind is Kind.CREATE:
        if outcome is Outcome.EXISTS:
            return state or IMPOSSIBLE
        return Register(operation.value, UNSEEN if unknown else operation.revision) if state is None else IMPOSSIBLE
    if state is None:
        return IMPOSSIBLE
    if operation.kind is Kind.GET:
        if operation.value != state.value or state.revision not in (UNSEEN, operation.revision):
            return IMPOSSIBLE
        return Register(state.value, operation.revision)
    # The revision of an unseen write has been demanded by nobody: who demands one has read it, and then it is not unseen.
    fits = operation.expected in (0, state.revision)
    if outcome is Outcome.CONFLICT:
        return IMPOSSIBLE if fits else state
    if not fits:
        return IMPOSSIBLE
    if operation.kind is Kind.DELETE:
        return None
    if not unknown and operation.revision < state.revision:
        return IMPOSSIBLE
    return Register(operation.value, UNSEEN if unknown else operation.revision)


def is_linearizable(operations: Iterable[Operation], start: State = None) -> bool:
    """Of one key. Undecided where the search takes too long."""
    history = sorted(operations, key=lambda one: one.invoked)
    needed = sum(1 << n for n, one in enumerate(history) if one.outcome is not Outcome.UNKNOWN)
    tried = set[tuple[int, State]]()
    stack: list[tuple[int, State]] = [(0, start)]
    while stack:
        done, state = stack.pop()
        if done & needed == needed:
            return True
        if (done, state) in tried:
            continue
        tried.add((done, state))
        if len(tried) > MAX_STEPS:
            raise Undecided(history[0].key)
        following = ((n, step(state, history[n])) for n in _minimal(history, done))
        possible = [(n, after) for n, after in following if after != IMPOSSIBLE]
        # The last is tried first: those whose outcome is known, the earliest end before the others.
        possible.sort(key=lambda one: history[one[0]].ends, reverse=True)
        stack += [(done | 1 << n, after) for n, after in possible]
    return False


def _minimal(history: Sequence[Operation], done: int) -> list[int]:
    """Those that may come next: none that is left over has ended before they began."""
    found, end = [], float("inf")
    first = (~done & (done + 1)).bit_length() - 1  # before it all are done
    for n in range(first, len(history)):
        if done >> n & 1:
            continue
        if history[n].invoked > end:
            break
        found.append(n)
        end = min(end, history[n].ends)
    return found


def by_key(operations: Iterable[Operation]) -> dict[str, list[Operation]]:
    """Each key's history."""
    found: dict[str, list[Operation]] = defaultdict(list)
    for one in operations:
        found[one.key].append(one)
    return found


def register_problems(operations: Iterable[Operation]) -> list[str]:
    """Keys whose history has no order, in words."""
    problems = []
    for key, history in by_key(operations).items():
        try:
            good = is_linearizable(history)
        except Undecided:
            problems.append(f"{key}: undecided after {MAX_STEPS} steps")
            continue
        if not good:
            problems.append(f"{key}: no order explains\n" + "\n".join(f"  {one}" for one in shortest(history)))
    return problems


def shortest(history: Sequence[Operation]) -> list[Operation]:
    """The beginning of a history that cannot be, up to the first answer that makes it so."""
    ended = sorted((one for one in history if one.outcome is not Outcome.UNKNOWN), key=lambda one: one.returned)
    for last in ended:
        begun = [_cut(one, last.returned) for one in history if one.invoked <= last.returned]
        if not is_linearizable(begun):
            return sorted(begun, key=lambda one: one.invoked)
    return list(history)


def _cut(one: Operation, now: float) -> Operation:
    """As it was known at that time: what writes and has no answer yet may have been done."""
    if one.ends <= now or one.outcome is Outcome.UNKNOWN:
        return one
    return Operation(one.client, one.kind, one.key, one.invoked, now, Outcome.UNKNOWN, one.value, 0, one.expected)


def set_problems(operations: Iterable[Operation], listings: Iterable[Listing]) -> list[str]:
    """Lists that lack an acknowledged creation or have an acknowledged deletion."""
    histories = by_key(one for one in operations if one.kind in (Kind.CREATE, Kind.DELETE))
    problems = []
    for listing, (key, history) in itertools.product(listings, histories.items()):
        if not key.startswith(listing.prefix):
            continue
        for kind, other, present in ((Kind.CREATE, Kind.DELETE, True), (Kind.DELETE, Kind.CREATE, False)):
            if (key in listing.items) is not present and _certain(history, kind, other, listing):
                problems.append(f"{key} is {'missing' if present else 'still'} in {listing}")
    return problems


def _certain(history: Sequence[Operation], kind: Kind, other: Kind, listing: Listing) -> bool:
    """Whether the key was, all through the list, as the last of that kind had left it."""
    done = [
        one for one in history if one.kind is kind and one.outcome is Outcome.DONE and one.returned < listing.invoked
    ]
    against = [
        one
        for one in history
        if one.kind is other and one.outcome in (Outcome.DONE, Outcome.UNKNOWN) and one.invoked < listing.returned
    ]
    return any(all(undoing.ends < last.invoked for undoing in against) for last in done)


def revision_problems(operations: Iterable[Operation]) -> list[str]:
    """Writes, of whatever keys, that began after another one was answered and have no larger resource version; two with the same."""
    writes = [
        one
        for one in operations
        if one.kind in (Kind.CREATE, Kind.UPDATE) and one.outcome is Outcome.DONE and one.revision
    ]
    problems = []
    answered = sorted(writes, key=lambda one: one.returned)
    newest, at = 0, 0
    for one in sorted(writes, key=lambda one: one.invoked):
        while at < len(answered) and answered[at].returned < one.invoked:
            newest = max(newest, answered[at].revision)
            at += 1
        if one.revision <= newest:
            problems.append(f"revision {one.revision} of {one} began after {newest} was answered")
    taken: dict[int, Operation] = {}
    for one in writes:
        if one.revision in taken:
            problems.append(f"revision {one.revision} is of two writes: {taken[one.revision]}, {one}")
        taken[one.revision] = one
    return problems
