"""Which of a level's queues a flow may be put into: each flow has a hand of its own (upstream: util/shufflesharding).

A flow that floods fills the queues of its hand; another one shares all of them only by a small chance.
"""

from __future__ import annotations

import hashlib
import math

MAX_HASH_BITS = 60  # of a hash that a hand may use up


def required_entropy_bits(deck: int, hand: int) -> int:
    """Of the hash, for a hand so large out of so many queues."""
    return math.ceil(math.log2(deck) * hand)


def hash_flow(schema: str, distinguisher: str) -> int:
    """64 bits that tell flows apart."""
    digest = hashlib.sha256(schema.encode() + b"\x00" + distinguisher.encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:8], "little")


def deal(hash_value: int, deck: int, hand: int) -> tuple[int, ...]:
    """`hand` different numbers below `deck`, by the hash alone; each hand is about as likely as any other."""
    remainders = []
    for left in range(deck, deck - hand, -1):
        hash_value, remainder = divmod(hash_value, left)
        remainders.append(remainder)
    cards = []
    for dealt, card in enumerate(remainders):
        # A remainder counts among the cards that are left: those dealt before are put back in, the last first.
        for earlier in reversed(remainders[:dealt]):
            if card >= earlier:
                card += 1
        cards.append(card)
    return tuple(cards)
