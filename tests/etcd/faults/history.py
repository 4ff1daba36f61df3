"""What clients asked and were told, each with the time it began and the time it was over, on one clock."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from enum import Enum


class Kind(Enum):
    """What was asked."""

    GET = "get"
    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"


class Outcome(Enum):
    """What was told. UNKNOWN: no answer, or one that leaves open whether it was done."""

    DONE = "done"
    NOT_FOUND = "not found"
    EXISTS = "exists"
    CONFLICT = "conflict"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Operation:
    """One request about one key.

    `value` is what was written or read (each write writes another one), `revision` the object's resource version in the answer, `expected`
    the one that was demanded (0: none).
    """

    client: int
    kind: Kind
    key: str
    invoked: float
    returned: float
    outcome: Outcome
    value: str = ""
    revision: int = 0
    expected: int = 0

    @property
    def ends(self) -> float:
        """Until when it may take effect: what nobody knows about may do so at any time."""
        return math.inf if self.outcome is Outcome.UNKNOWN else self.returned


@dataclass(frozen=True, slots=True)
class Listing:
    """A list of all keys that begin with `prefix`: key -> resource version, as of `revision`."""

    client: int
    prefix: str
    invoked: float
    returned: float
    revision: int
    items: dict[str, int] = field(default_factory=dict)
