"""Patterns mean what they mean in Go, and Go's words say why one is none.

The kind: whatever a user writes as a pattern is Go's. Neighbours beyond the common ones: flags in the middle of a pattern, inexact names of
Unicode classes, text of a quotation, limits of depth and size, empty matches beside others.
"""

import re
import unicodedata
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pybernetes.api import goregexp


@pytest.mark.parametrize(
    ("pattern", "matches", "misses"),
    [
        ("^a+$", "aa", "aa\n"),
        (r"^[[:alpha:]]+\z", "ab", "a1"),
        (r"^[[:^alpha:]]$", "1", "a"),
        (r"^[]a]$", "]", "["),
        (r"^[^]a]$", "b", "]"),
        ("^[a-c-e]$", "-", "d"),
        ("^[[:]$", ":", "]"),
        (r"^\x{41}$", "A", "B"),
        (r"^\101\x41$", "AA", "A"),
        (r"^\Qa.b\E$", "a.b", "axb"),
        (r"^\Qa(b", "a(b", "ab"),
        (r"^\Qab\E+$", "abb", "abab"),
        (r"^\Qa\\E$", "a\\", "a"),
        (r"^\d$", "1", "٣"),
        (r"^\w$", "a", "é"),
        (r"^\s$", "\t", "\u00a0"),
        (r"^(?i)\w$", "\u017f", "é"),
        ("^(?i)k$", "\u212a", "x"),
        ("^(?i)(abort|warn)?$", "", "a"),
        ("a(?i)b", "aB", "AB"),
        ("^a(?i:b)c$", "aBc", "aBC"),
        ("(?m)b$", "b\nc", "bc"),
        ("(?-m)b$", "b", "b\nc"),
        ("^a.b$", "axb", "a\nb"),
        ("(?s)^a.b$", "a\nb", "ab"),
        ("^a[^x]b$", "a\nb", "axb"),
        (r"^\pN+$", "1٣", "a"),
        (r"^\p{L}$", "é", "1"),
        (r"^\p{Greek}$", "β", "a"),
        (r"^\p{^Greek}$", "a", "β"),
        (r"^\P{^Greek}$", "β", "a"),
        (r"^\p{greek}$", "β", "a"),
        (r"^\p{Old_Italic}$", "\U00010300", "a"),
        (r"^\p{Uppercase_Letter}$", "A", "a"),
        (r"^\p{upper case-let ter}$", "A", "a"),
        (r"^\p{Letter}\p{digit}$", "a1", "aa"),
        (r"^\p{ASCII}$", "a", "é"),
        (r"^[\P{ascii}1]$", "é", "a"),
        (r"^(?i)\p{ascii}$", "\u212a", "é"),
        (r"^\p{LC}$", "a", "א"),
        (r"^[\P{LC}]$", "א", "a"),
        (r"^\p{Cn}$", "\u0378", "a"),
        (r"^\p{Assigned}$", "a", "\u0378"),
        (r"^[\P{Assigned}]$", "\u0378", "a"),
        (r"^\pC$", "\u0378", "a"),
        (r"^\p{Any}$", "\n", ""),
        (r"^(?P<n>a)(?P<n>b)(?<m>c)$", "abc", "ab"),
        ("^a{2}$", "aa", "aaa"),
        ("^a{,2}$", "a{,2}", "aa"),
        ("^x{01}$", "x{01}", "x"),
        ("^x{", "x{", "x"),
        ("^(a|)*$", "aa", "b"),
        ("^a*(?i)*$", "aaa", "b"),
        (r"\bfoo\b", "a foo b", "afoob"),
        (r"^\x{fffd}$", "\ud800", "a"),
        ("^.$", "\ud800", "ab"),
    ],
)
def test_patterns_match_as_in_go(pattern: str, matches: str, misses: str) -> None:
    compiled = goregexp.compile(pattern)
    assert (compiled.search(matches), compiled.search(misses)) == (True, False)


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        ("(", "missing closing ): `(`"),
        ("(a|b", "missing closing ): `(a|b`"),
        ("a)", "unexpected ): `a)`"),
        ("x|)", "unexpected ): `x|)`"),
        ("b[a", "missing closing ]: `[a`"),
        ("[", "missing closing ]: `[`"),
        ("[]", "missing closing ]: `[]`"),
        ("[a-", "missing closing ]: `[a-`"),
        ("[z-a]", "invalid character class range: `z-a`"),
        (r"[\x62-a]", r"invalid character class range: `\x62-a`"),
        ("[[:foo:]]", "invalid character class range: `[:foo:]`"),
        (r"[a-\d]", r"invalid escape sequence: `\d`"),
        ("*", "missing argument to repetition operator: `*`"),
        ("a|+?", "missing argument to repetition operator: `+?`"),
        ("(?i){2}", "missing argument to repetition operator: `{2}`"),
        (r"\Q\E*", "missing argument to repetition operator: `*`"),
        ("a**", "invalid nested repetition operator: `**`"),
        ("a*?+", "invalid nested repetition operator: `*?+`"),
        ("a{2}{3}?", "invalid nested repetition operator: `{2}{3}?`"),
        ("a++", "invalid nested repetition operator: `++`"),
        ("a{1001}", "invalid repeat count: `{1001}`"),
        ("a{2,1}", "invalid repeat count: `{2,1}`"),
        ("a{1,98765432109876543210}", "invalid repeat count: `{1,98765432109876543210}`"),
        ("(a{1000}){1000}", "invalid repeat count: `{1000}`"),
        ("(?:[a-z]{4}){0,251}", "invalid repeat count: `{0,251}`"),
        ("(?=a)", "invalid or unsupported Perl syntax: `(?=`"),
        ("(?<=a)", "invalid named capture: `(?<=a)`"),
        ("(?P=n)", "invalid or unsupported Perl syntax: `(?P`"),
        ("(?i", "invalid or unsupported Perl syntax: `(?i`"),
        ("(?i-)", "invalid or unsupported Perl syntax: `(?i-)`"),
        ("(?P<x y>a)", "invalid named capture: `(?P<x y>`"),
        ("(?<>a)", "invalid named capture: `(?<>`"),
        ("(?P<n", "invalid named capture: `(?P<n`"),
        (r"(a)\1", r"invalid escape sequence: `\1`"),
        (r"\Z", r"invalid escape sequence: `\Z`"),
        (r"\C", r"invalid escape sequence: `\C`"),
        ("a\\é", "invalid escape sequence: `\\é`"),
        (r"\xg", r"invalid escape sequence: `\xg`"),
        (r"\x{}", r"invalid escape sequence: `\x{}`"),
        (r"\x{110000}", r"invalid escape sequence: `\x{110000`"),
        ("a\\", "trailing backslash at end of expression: ``"),
        (r"\p{Foo}", r"invalid character class range: `\p{Foo}`"),
        (r"[\pLa\p{]", r"invalid character class range: `\p{]`"),
        (r"\pB", r"invalid character class range: `\pB`"),
        ("a**(", "invalid nested repetition operator: `**`"),  # the first from the left
    ],
)
def test_words_of_what_go_refuses(pattern: str, why: str) -> None:
    for reader in (goregexp.check, goregexp.compile):
        with pytest.raises(goregexp.RegexpError) as caught:
            reader(pattern)
        assert str(caught.value) == f"error parsing regexp: {why}"


@pytest.mark.parametrize(
    ("pattern", "code"),
    [
        ("(" * 999 + ")" * 999, None),
        ("(" * 1000 + ")" * 1000, "expression nests too deeply"),
        ("(?:" * 999 + ")*" * 999, None),
        ("(?:" * 1000 + ")*" * 1000, "expression nests too deeply"),
        ("(?:a" * 5000 + ")" * 5000, None),  # a concatenation in a concatenation is one
        ("(" + "|" * 12345 + ")", None),
        ("((((((((((x{1}){2}){2}){2}){2}){2}){2}){2}){2}){2})", None),
        ("((((((((((x{2}){2}){2}){2}){2}){2}){2}){2}){2}){2})", "invalid repeat count"),
        ("(" + "(xx?)" * 1000 + "){1000}", "expression too large"),
        ("(xx?){1000}" * 1000, "expression too large"),
        (r"\pL" * 27000, "expression too large"),
        (r"\pL{1000}", "expression too large"),  # Go takes it, whose instructions speak of runes
    ],
)
def test_limits(pattern: str, code: str | None) -> None:
    if code is None:
        goregexp.compile(pattern)
    else:
        with pytest.raises(goregexp.RegexpError, match=f": {code}: "):
            goregexp.check(pattern)


@pytest.mark.parametrize(
    ("pattern", "text", "places"),
    [
        ("a*", "baaac", [(0, 0), (1, 4), (5, 5)]),  # no empty match beside another
        ("é|", "aéb", [(0, 0), (1, 2), (3, 3)]),
        ("[😀-😂]", "é😁x😂", [(1, 2), (3, 4)]),
        ("", "ab", [(0, 0), (1, 1), (2, 2)]),
        ("^", "aa", [(0, 0)]),
        (r"\b", "a b", [(0, 0), (1, 1), (2, 2), (3, 3)]),
        ("x", "aaa", []),
        ("a|ab", "abab", [(0, 1), (2, 3)]),  # the first alternative, not the longest
    ],
)
def test_places_of_matches(pattern: str, text: str, places: list[tuple[int, int]]) -> None:
    compiled = goregexp.compile(pattern)
    assert compiled.find_all(text) == places
    assert compiled.find(text) == (places[0] if places else None)


_ATOMS = st.sampled_from(
    ["a", "b", "ab", "é", ".", "[ab]", "[^a]", "[a-cé]", r"\d", r"\w", r"\.", r"\x41", "(?:a|b)", "(b|)", "^", r"\b"]
)
_REPEATS = st.sampled_from(["", "", "*", "+", "?", "*?", "{2}", "{1,2}", "{0,1}?"])
_PATTERNS = st.lists(st.tuples(_ATOMS, _REPEATS).map("".join), max_size=6).map("".join)
_TEXTS = st.text(alphabet="abcéA1. \n", max_size=12)


@settings(max_examples=300, deadline=None)
@given(_PATTERNS, _TEXTS)
def test_the_common_subset_matches_as_pythons(pattern: str, text: str) -> None:
    if re.search(r"[\^b][*+?{]", pattern.replace(r"\b", "^")):
        return  # of a repeated assertion Python says nothing
    expected = re.search(pattern, text, re.ASCII)
    assert goregexp.compile(pattern).find(text) == (expected.span() if expected else None)


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet=r"a()[]{}*+?|\-^$.:,<>=!P123idQEpxLzA é", max_size=14))
def test_whatever_is_taken_the_library_takes_and_whatever_is_refused_has_words(pattern: str) -> None:
    try:
        goregexp.check(pattern)
    except goregexp.RegexpError as error:
        assert str(error).startswith("error parsing regexp: ")
    else:
        goregexp.compile(pattern).search("a1")


def test_unassigned_planes_are_empty() -> None:
    """What `\\p{Cn}` does not look at."""
    from pybernetes.api.regexpclasses import _BEYOND

    assert {unicodedata.category(chr(rune)) for rune in _BEYOND if rune & 0xFFFF < 0xFFFE} == {"Cn"}


def test_reading_costs_as_much_as_the_pattern_is_long() -> None:
    """Counted in calls of functions, of patterns that make a reader look far ahead again and again."""
    import sys

    def calls(pattern: str) -> int:
        count = 0

        def profile(*_: object) -> None:
            nonlocal count
            count += 1

        sys.setprofile(profile)
        try:
            goregexp.check(pattern)
        except goregexp.RegexpError:
            pass
        finally:
            sys.setprofile(None)
        return count

    for part in ("(", "()", "[[:", "a{1", "(?i)", "a|", r"\Qa\E", "(?:a", r"\pL", "[^a]?", r"\x{41}", "x{2}y"):
        for few, many in pairwise(calls(part * number) for number in (100, 400, 1600)):
            assert many <= 4 * few + 100, part


def test_groups_of_the_first_match() -> None:
    assert goregexp.compile("(é)(x)?(b)|c").groups("aéb") == ["éb", "é", "", "b"]
    assert goregexp.compile("x(y)").groups("a") is None
