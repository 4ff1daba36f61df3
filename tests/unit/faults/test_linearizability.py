"""The judge of histories: those that are known to be linearizable, and those that are not.

Not met in the wild: an answer that was lost and yet done, much later; a list between a creation and its answer.
"""

from __future__ import annotations

import random

import pytest

from tests.etcd.faults import linearizability
from tests.etcd.faults.history import Kind, Listing, Operation, Outcome
from tests.etcd.faults.linearizability import (
    Undecided,
    is_linearizable,
    register_problems,
    revision_problems,
    set_problems,
    shortest,
)

WORDS = {
    "ok": Outcome.DONE,
    "404": Outcome.NOT_FOUND,
    "409": Outcome.CONFLICT,
    "exists": Outcome.EXISTS,
    "?": Outcome.UNKNOWN,
}


def history(text: str) -> list[Operation]:
    """Lines `BEGIN-END KIND [VALUE][@REVISION] [if EXPECTED] OUTCOME`."""
    found = []
    for number, line in enumerate(text.strip().splitlines()):
        times, kind, *rest, word = line.split()
        begin, end = times.split("-")
        value, _, revision = rest[0].partition("@") if rest and rest[0] != "if" else ("", "", "")
        expected = int(rest[rest.index("if") + 1]) if "if" in rest else 0
        found.append(
            Operation(
                number, Kind(kind), "k", float(begin), float(end), WORDS[word], value, int(revision or 0), expected
            )
        )
    return found


LINEARIZABLE = {
    "nothing": "",
    "one after the other": """
        0-1 create a@1 ok
        2-3 get a@1 ok
        4-5 update b@2 if 1 ok
        6-7 get b@2 ok
        8-9 delete if 2 ok
        10-11 get 404
        12-13 create c@4 ok""",
    "a read at the same time as a write sees either": """
        0-1 create a@1 ok
        2-9 update b@2 if 1 ok
        3-4 get a@1 ok
        5-6 get b@2 ok""",
    "an unknown write that was done": """
        0-1 create a ?
        2-3 get a@5 ok
        4-5 update b@6 if 5 ok""",
    "an unknown write that was never done": """
        0-1 create a ?
        2-3 get 404
        4-5 create b@2 ok
        6-7 get b@2 ok""",
    "an unknown write that was done long after": """
        0-1 create a@1 ok
        2-3 update b if 1 ?
        4-5 get a@1 ok
        6-7 get a@1 ok
        8-9 get b@2 ok""",
    "an unknown deletion explains an absence": """
        0-1 create a@1 ok
        2-3 delete ?
        4-5 get a@1 ok
        6-7 update b@2 404""",
    "two updates of the same revision, one of them refused": """
        0-1 create a@1 ok
        2-5 update b@2 if 1 ok
        2-5 update c if 1 409""",
    "a refusal by a write that nobody saw": """
        0-1 create a@1 ok
        2-3 update b if 1 ?
        4-5 update c if 1 409
        6-7 get b@2 ok""",
    "deleted and made again at the same time": """
        0-1 create a@1 ok
        2-9 delete if 1 ok
        3-8 create b@3 ok
        10-11 get b@3 ok""",
    "a creation is refused for one that is under way": """
        0-9 create a@1 ok
        1-2 create b exists""",
}
NOT_LINEARIZABLE = {
    "an acknowledged write is lost": """
        0-1 create a@1 ok
        2-3 get 404""",
    "a read goes back": """
        0-1 create a@1 ok
        2-9 update b@2 if 1 ok
        3-4 get b@2 ok
        5-6 get a@1 ok""",
    "a stale read after the answer": """
        0-1 create a@1 ok
        2-3 update b@2 if 1 ok
        4-5 get a@1 ok""",
    "two updates of the same revision succeed": """
        0-1 create a@1 ok
        2-5 update b@2 if 1 ok
        2-5 update c@3 if 1 ok""",
    "an unknown write is read before it began": """
        0-1 get a@1 ok
        2-3 create a ?""",
    "a write that was refused is read": """
        0-1 create a@1 ok
        2-3 update b if 1 409
        4-5 get b@2 ok""",
    "refused without a reason": """
        0-1 create a@1 ok
        2-3 update b if 1 409""",
    "a deletion comes undone": """
        0-1 create a@1 ok
        2-3 delete if 1 ok
        4-5 get a@1 ok""",
    "a deletion that was done is said to have found nothing": """
        0-1 create a@1 ok
        2-3 delete 404
        4-5 get 404""",
    "created twice": """
        0-1 create a@1 ok
        2-3 create b@2 ok""",
    "an unknown write happens twice": """
        0-1 create a ?
        2-3 get a@2 ok
        4-5 delete if 2 ok
        6-7 get a@4 ok""",
    "the revision of a value changes": """
        0-1 create a@1 ok
        2-3 get a@2 ok""",
    "revisions of a key go back": """
        0-1 create a@5 ok
        2-3 update b@4 if 5 ok""",
}


@pytest.mark.parametrize("name", LINEARIZABLE)
def test_an_order_is_found(name: str) -> None:
    assert is_linearizable(history(LINEARIZABLE[name]))
    assert register_problems(history(LINEARIZABLE[name])) == []


@pytest.mark.parametrize("name", NOT_LINEARIZABLE)
def test_there_is_no_order(name: str) -> None:
    operations = history(NOT_LINEARIZABLE[name])
    assert not is_linearizable(operations)
    assert not is_linearizable(operations[::-1])
    [problem] = register_problems(operations)
    assert problem.startswith("k: no order explains")


def test_what_is_shown_ends_where_it_becomes_impossible() -> None:
    operations = history("0-1 create a@1 ok\n2-3 get 404\n4-5 get a@1 ok\n6-7 delete if 1 ok")
    assert shortest(operations) == operations[:2]


@pytest.mark.parametrize("seed", range(20))
def test_a_register_that_is_asked_by_many_at_once_has_an_order(seed: int) -> None:
    """Played on a real register, each operation at a moment between its call and its answer; and with one lie there is none."""
    dice, value, revision, operations = random.Random(seed), None, 0, list[Operation]()
    seen = 0  # newest revision that an answer had: only such a one can be demanded
    moments = sorted((dice.uniform(0, 100), client) for client in range(8) for _ in range(25))
    for moment, client in moments:
        begin, end = moment - dice.random(), moment + dice.random()
        match dice.choice(["get", "create", "update", "delete"]):
            case "get":
                outcome = Outcome.DONE if value else Outcome.NOT_FOUND
                one = Operation(client, Kind.GET, "k", begin, end, outcome, value or "", revision if value else 0)
            case "create" if value is None:
                revision, value = revision + 1, f"{moment}"
                one = Operation(client, Kind.CREATE, "k", begin, end, Outcome.DONE, value, revision)
            case "create":
                one = Operation(client, Kind.CREATE, "k", begin, end, Outcome.EXISTS, f"{moment}")
            case _ if value is None:
                one = Operation(client, Kind.DELETE, "k", begin, end, Outcome.NOT_FOUND)
            case kind if seen != revision:
                one = Operation(client, Kind(kind), "k", begin, end, Outcome.CONFLICT, f"{moment}", 0, seen or 99)
            case "update":
                revision, value = revision + 1, f"{moment}"
                one = Operation(client, Kind.UPDATE, "k", begin, end, Outcome.DONE, value, revision, seen)
            case _:
                value = None
                one = Operation(client, Kind.DELETE, "k", begin, end, Outcome.DONE, "", 0, seen)
        if one.kind is not Kind.GET and one.outcome is Outcome.DONE and dice.random() < 0.2:
            one = Operation(client, one.kind, "k", begin, end, Outcome.UNKNOWN, one.value, 0, one.expected)
        seen = one.revision or seen
        operations.append(one)
    assert is_linearizable(operations)
    lie = Operation(9, Kind.GET, "k", 200, 201, Outcome.DONE, "never written", 1)
    assert not is_linearizable([*operations, lie])


def test_a_search_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linearizability, "MAX_STEPS", 5)
    with pytest.raises(Undecided):
        is_linearizable(history("0-9 delete ?\n" * 9 + "0-9 create a ?\n" * 9 + "0-9 get b@1 ok"))


def listing(begin: float, end: float, *keys: str) -> Listing:
    return Listing(0, "", begin, end, 9, dict.fromkeys(keys, 1))


def test_lists_as_sets() -> None:
    made = history("0-1 create a@1 ok\n4-5 delete if 1 ok\n8-9 create b@3 ok")
    assert (
        set_problems(made, [listing(0, 9), listing(2, 3, "k"), listing(4.5, 6), listing(4.5, 6, "k"), listing(6, 7)])
        == []
    )
    for wrong, word in ((listing(2, 3), "missing"), (listing(6, 7, "k"), "still"), (listing(10, 11), "missing")):
        [problem] = set_problems(made, [wrong])
        assert problem.startswith(f"k is {word} in")
    unknown = history("0-1 create a@1 ok\n2-3 delete ?")
    assert set_problems(unknown, [listing(4, 5), listing(4, 5, "k")]) == []
    assert set_problems(made, [Listing(0, "other", 2, 3, 9)]) == []


def test_revisions_follow_time() -> None:
    good = history("0-3 create a@2 ok\n1-2 create b@1 ok\n4-5 create c@3 ok")
    assert revision_problems(good) == []
    assert "began after 2" in revision_problems(history("0-1 create a@2 ok\n2-3 create b@1 ok"))[0]
    assert "two writes" in revision_problems(history("0-3 create a@2 ok\n0-3 create b@2 ok"))[0]
