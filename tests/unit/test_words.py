"""A variable says what it holds: a pod, errors, the requested address; not that it was found, wanted, known or made."""

from __future__ import annotations

import ast
import re
from pathlib import Path

SOURCE = Path(__file__).parents[2] / "src" / "pybernetes"
SAY_NOTHING = frozenset({"found", "known", "made", "wanted"})
ANY = re.compile(rf"\b(?:{'|'.join(sorted(SAY_NOTHING))})\b")


def test_names_say_what_they_hold() -> None:
    files = sorted(SOURCE.rglob("*.py"))
    places = {str(path.relative_to(SOURCE)): empty_names(path.read_text()) for path in files}
    assert {name: uses for name, uses in places.items() if uses} == {}


def test_what_is_an_empty_name() -> None:
    assert empty_names("def f(found: int, *, key: int) -> int:\n    made: list[int] = []\n    return found\n") == [
        *("1: found", "2: made")
    ]
    assert empty_names("for known in ():\n    pass\n[wanted for wanted in ()]\n") == ["1: known", "3: wanted"]
    assert empty_names('"""What was found."""\n\n\ndef made(x: int) -> None: ...\n') == []


def empty_names(text: str) -> list[str]:
    """LINE: NAME of each variable and parameter that says nothing."""
    if not ANY.search(text):
        return []
    return sorted(
        {
            f"{node.lineno}: {name}"
            for node in ast.walk(ast.parse(text))
            if isinstance(node, ast.arg) or (isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store))
            if (name := node.arg if isinstance(node, ast.arg) else node.id) in SAY_NOTHING
        }
    )
