"""What api/wellknown.py names is written out nowhere else: a second spelling is how two parts come to disagree."""

from __future__ import annotations

import ast
import re
from collections import Counter
from pathlib import Path

from pybernetes.api import wellknown

SOURCE = Path(__file__).parents[2] / "src" / "pybernetes"
CONSTANTS = {value: name for name, value in vars(wellknown).items() if name.isupper()}
ANY = re.compile("|".join(map(re.escape, CONSTANTS)))

# Folders and files that may write the names out, each with its reason.
ALLOWED = {
    "api/wellknown.py": "the names themselves",
    "api/types/": "generated",
    "apiserver/authorization/bootstrappolicy.py": "upstream's table of roles, whose names are those of users by chance",
}


def test_every_name_has_one_value() -> None:
    spelled = Counter(value for name, value in vars(wellknown).items() if name.isupper())
    assert CONSTANTS and [value for value, count in spelled.items() if count > 1] == []


def test_nobody_spells_a_well_known_name() -> None:
    places = {name: _spelled(SOURCE / name) for name in _files()}
    assert {name: uses for name, uses in places.items() if uses and not name.startswith(tuple(ALLOWED))} == {}


def test_no_exception_is_idle() -> None:
    files = _files()
    used = {place for place in ALLOWED for name in files if name.startswith(place)}
    assert set(ALLOWED) == used


def _files() -> list[str]:
    return [str(path.relative_to(SOURCE)) for path in sorted(SOURCE.rglob("*.py"))]


def _spelled(path: Path) -> list[str]:
    """LINE: NAME of each literal that is a well-known name, also where it is a part of an f-string."""
    text = path.read_text()
    if not ANY.search(text):  # as in most files; to read one takes a while
        return []
    return [
        f"{node.lineno}: {CONSTANTS[node.value]}"
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value in CONSTANTS
    ]
