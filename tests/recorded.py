"""What today's upstream answers otherwise than a recording of 1.20 says, path by path."""

from __future__ import annotations

import copy
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Change:
    """The answer to step `step` (the first is 1) has at `path` (`code`, `body.details.causes[0].field`) another value today.

    `today` may hold the <words> and {names} of a recording; `how`: "replaced", "added" (into a list: before what stands there), "gone".
    """

    step: int
    path: str
    today: Any = None
    how: str = "replaced"

    def __hash__(self) -> int:
        return hash((self.step, self.path, self.how))


@dataclass(frozen=True)
class Difference:
    """One change of upstream's, and where a case shows it.

    `unsaid`: paths that are left out of the comparison, as by a case's `ignore`, since today's value is too long to be told.
    """

    why: str
    changes: tuple[Change, ...] = ()
    unsaid: tuple[str, ...] = ()


def parts(text: str) -> list[str]:
    """Of a path: `a.b[0]`, `a[key.with/dots]`; what stands in brackets is one part."""
    return [bracketed or plain for bracketed, plain in re.findall(r"\[([^\]]*)\]|([^.\[\]]+)", text)]


def dig(value: Any, path: Sequence[str]) -> Any:
    """What stands at a path; None for nothing."""
    for part in path:
        if isinstance(value, list):
            value = value[int(part)] if part.lstrip("-").isdigit() and -len(value) <= int(part) < len(value) else None
        else:
            value = value.get(part) if isinstance(value, dict) else None
    return value


def amended(expect: dict[str, Any], changes: Sequence[Change]) -> dict[str, Any]:
    """The recorded answer with the changes made, one after the other. LookupError, TypeError for a path that is not recorded."""
    if not changes:
        return expect
    answer = copy.deepcopy(expect)
    for change in changes:
        *where, last = parts(change.path)
        place = dig(answer, where)
        key: Any = int(last) if isinstance(place, list) else last
        if change.how == "gone":
            del place[key]
        elif change.how == "added" and isinstance(place, list):
            place.insert(key, change.today)
        else:
            place[key] = change.today
    return answer
