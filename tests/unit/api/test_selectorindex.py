"""Long selectors select what the same requirements select one by one."""

from hypothesis import given
from hypothesis import strategies as st

from pybernetes.api.fieldselectors import FieldSelector, parse_field_selector
from pybernetes.api.labels import Selector, parse_selector
from pybernetes.api.selectorindex import FEW

_KEYS = st.sampled_from(["a", "b", "c"])
_VALUES = st.sampled_from(["", "1", "2", "10", "x"])
_TERMS = st.one_of(
    st.tuples(_KEYS, st.sampled_from(["=", "!="]), _VALUES).map("".join),
    st.tuples(_KEYS, st.sampled_from([">", "<"]), st.sampled_from(["1", "5"])).map("".join),
    st.tuples(_KEYS, st.sampled_from([" in ", " notin "]), st.lists(_VALUES.filter(bool), min_size=1, max_size=3)).map(
        lambda part: f"{part[0]}{part[1]}({','.join(part[2])})"
    ),
    _KEYS,
    _KEYS.map("!{}".format),
)
_LABELS = st.dictionaries(_KEYS, _VALUES)


@given(st.lists(_TERMS, min_size=FEW + 1, max_size=FEW + 4), _LABELS)
def test_labels(terms: list[str], labels: dict[str, str]) -> None:
    many = parse_selector(",".join(terms))
    assert many._index is not None
    assert many.matches(labels) == all(Selector((one,)).matches(labels) for one in many.requirements)


@given(st.lists(st.tuples(_KEYS, st.sampled_from(["=", "!="]), _VALUES).map("".join), min_size=FEW + 1), _LABELS)
def test_fields(terms: list[str], fields: dict[str, str]) -> None:
    many = parse_field_selector(",".join(terms))
    assert many._index is not None
    assert many.matches(fields) == all(FieldSelector((one,)).matches(fields) for one in many.requirements)


def test_no_object_has_many_matches_with_terms_that_it_has_nothing_of() -> None:
    """Counted in calls of functions: as many as there are labels, not as there are terms."""
    import sys

    def calls(count: int) -> int:
        selector, found = parse_selector(",".join(f"k{n}!=v" for n in range(count))), 0

        def profile(*_: object) -> None:
            nonlocal found
            found += 1

        sys.setprofile(profile)
        selector.matches({"k1": "x", "other": "v"})
        sys.setprofile(None)
        return found

    assert calls(1000) <= calls(100) + 5
