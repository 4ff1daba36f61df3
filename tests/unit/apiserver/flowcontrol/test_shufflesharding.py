"""Hands of queues."""

import itertools
from collections import Counter

import pytest

from pybernetes.apiserver.flowcontrol.shufflesharding import deal, hash_flow, required_entropy_bits


@pytest.mark.parametrize(("deck", "hand"), [(1, 1), (3, 2), (5, 3), (6, 6)])
def test_each_hand_is_dealt_as_often_as_any_other(deck: int, hand: int) -> None:
    hands = list(itertools.permutations(range(deck), hand))
    assert Counter(deal(number, deck, hand) for number in range(2 * len(hands))) == dict.fromkeys(hands, 2)


def test_a_hand_of_the_largest_level() -> None:
    """The formula, worked out by hand for one hash: remainders by 128, 127, ...; each is moved past the cards dealt before."""
    assert deal(0, 128, 6) == (0, 1, 2, 3, 4, 5)
    assert deal(127 + 128 * 126, 128, 6) == (127, 126, 0, 1, 2, 3)
    hand = deal(hash_flow("global-default", "alice"), 128, 6)
    assert len(set(hand)) == 6
    assert all(0 <= card < 128 for card in hand)


def test_flows_are_told_apart_by_both_names() -> None:
    assert len({hash_flow("a", "b"), hash_flow("ab", ""), hash_flow("", "ab"), hash_flow("a", "\udc80")}) == 4
    # sha256 of nothing but the separator: its first 8 bytes, the lowest first.
    assert hash_flow("", "") == int.from_bytes(bytes.fromhex("6e340b9cffb37a98"), "little")


@pytest.mark.parametrize(("deck", "hand", "bits"), [(64, 6, 36), (128, 6, 42), (512, 8, 72), (1, 1, 0), (50, 4, 23)])
def test_bits_that_a_hand_uses_up(deck: int, hand: int, bits: int) -> None:
    assert required_entropy_bits(deck, hand) == bits
