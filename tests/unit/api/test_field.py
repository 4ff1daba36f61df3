"""Values in messages, as Go prints them."""

from typing import Any

import pytest

from pybernetes.api import field


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a", '"a"'),
        ('say "x" \\', r'"say \"x\" \\"'),
        ("\x00\x1f\x7f", r'"\x00\x1f\x7f"'),
        ("\a\b\t\n\v\f\r", r'"\a\b\t\n\v\f\r"'),
        ("größer", '"größer"'),
        (True, "true"),
        (None, "null"),
        (5, "5"),
        (["a", {"b": 1}], '["a",{"b":1}]'),
    ],
)
def test_quote(value: Any, text: str) -> None:
    assert field.quote(value) == text


def test_large_texts_are_quoted_as_small_ones_are() -> None:
    text = 'a"\\\n\x00é' * 9_999
    assert field.quote(text) == '"' + 'a\\"\\\\\\n\\x00é' * 9_999 + '"'
