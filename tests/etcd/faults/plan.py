"""What goes wrong next, by dice."""

from __future__ import annotations

import random
from dataclasses import dataclass
from enum import Enum


class What(Enum):
    """Of a member of etcd, or of an API server."""

    KILL = "killed and started again"
    FREEZE = "frozen"
    CUT = "cut off"
    SLOW = "slow"  # frozen in pulses, as on a disk that stalls
    LEAD = "another leader"  # asked for
    OUTAGE = "no majority"  # two members killed at once


@dataclass(frozen=True, slots=True)
class Fault:
    """For `seconds`. `member`: of etcd, else an API server; `number` says which one, -1: the leader."""

    what: What
    member: bool
    number: int
    seconds: float


LEADER = -1
LONGEST_SECONDS = 8.0
PULSE_SECONDS = 0.3


def choose(dice: random.Random, *, members: int, servers: int, cuts: bool, longest: float = LONGEST_SECONDS) -> Fault:
    """The next one. `cuts`: whether hosts can be cut off."""
    kinds = [What.KILL, What.FREEZE, What.SLOW] + [What.CUT] * cuts
    if dice.random() < 0.35:
        return Fault(dice.choice(kinds), False, dice.randrange(servers), dice.uniform(0, longest))
    what = dice.choice([*kinds, *kinds, What.LEAD, What.OUTAGE])
    number = LEADER if dice.random() < 0.5 else dice.randrange(members)
    return Fault(what, True, number, dice.uniform(0, longest))
