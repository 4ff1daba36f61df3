"""What a client can make the server do grows at most as what the client sends.

The kind: a loop in a loop, a search that begins again, a pattern that goes back, over bytes of a client. `bounded_places.PLACES` is the list of
such places; kinds' lists are found in the schemas (test_bounded_kinds); patterns of Python's `re` are found in the modules.
"""

import ast
import importlib
import pkgutil
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import pybernetes

from .bounded_places import PLACES, Place, do
from .effort import counting, grows_too_much, measured

SOURCE = Path(pybernetes.__file__).parent
# Packages in which text may be a client's.
READERS = (
    *("api", "apiserver", "wire", "kubelet", "controllers", "dns"),
    *("ingress", "loadbalancer", "localpath", "metricsserver", "networkpolicy", "proxy"),
)
BADLY = ("", "!")
PARTS = [
    *"a0. -_/:=,\n'[](){}~\\$%*",
    "a.",
    "a-",
    "0.0",
    "a/",
    "::",
    "['",
    "']",
    "a=",
    "1s",
    "1h",
    "\\a",
    "~0",
    "$(a)",
    "a@",
    "0a",
    "1:",
    "A_",
]
SECONDS = 0.05  # below which a pattern may take what it likes: the clock is not that exact


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.name)
def test_the_work_grows_as_the_input(place: Place) -> None:
    def calls(count: int) -> int:
        given = place.given(count * place.scale)
        with measured() as effort:
            do(place, given)
        return effort.calls

    calls(10)  # imports, caches
    assert not grows_too_much(calls)


@pytest.mark.parametrize("place", [place for place in PLACES if not place.exact], ids=lambda place: place.name)
def test_nothing_is_looked_for_in_lists(place: Place) -> None:
    def comparisons(count: int) -> int:
        given = counting(place.given(count * place.scale))
        with measured() as effort:
            do(place, given)
        return effort.comparisons

    assert not grows_too_much(comparisons)


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.name)
def test_a_large_input_is_no_matter_of_seconds(place: Place) -> None:
    """Of work that calls nothing, such as a search in C: it cannot be counted, but a square of this would be minutes."""
    given = place.given(20_000)
    begin = time.process_time()
    do(place, given)
    assert time.process_time() - begin < 10


def modules() -> Iterator[str]:
    for package in READERS:
        name = f"pybernetes.{package}"
        path = importlib.import_module(name).__path__
        yield from (found.name for found in pkgutil.walk_packages(path, name + ".") if ".api.types" not in found.name)


def patterns() -> dict[re.Pattern[str] | re.Pattern[bytes], str]:
    """Every compiled pattern that a module holds, in a table or alone."""
    found: dict[re.Pattern[str] | re.Pattern[bytes], str] = {}
    for module in modules():
        for name, value in vars(importlib.import_module(module)).items():
            held = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else (value,)
            for one in held:
                if isinstance(one, re.Pattern):
                    found.setdefault(one, f"{module}.{name}")
    return found


def searches(name: str) -> bool:
    """Whether its module looks for it anywhere in a text: that begins again at each place."""
    module, _, constant = name.rpartition(".")
    source = Path(importlib.import_module(module).__file__ or "").read_text()
    return re.search(rf"\b{constant}\.(search|subn?|findall|finditer|split)\b", source) is not None


def seconds(pattern: Any, text: str, anywhere: bool) -> float:
    data = text.encode() if isinstance(pattern.pattern, bytes) else text
    begin = time.process_time()
    if anywhere:
        pattern.search(data)
    else:
        pattern.fullmatch(data)
    return time.process_time() - begin


def test_patterns_of_python_do_not_go_back() -> None:
    """Each with strings that repeat what it may begin with, and end as it does not expect."""
    slow = []
    for pattern, name in patterns().items():
        anywhere = searches(name)
        source = pattern.pattern.decode() if isinstance(pattern.pattern, bytes) else pattern.pattern
        beginnings = ["", *re.findall(r"[A-Za-z:/(\[{\"?.-]{2,8}", source)[:1]]
        for text in (f"{start}{part}" for start in beginnings for part in PARTS):
            for end in BADLY:
                small, large = text * 200 + end, text * 1600 + end
                if seconds(pattern, large, anywhere) < SECONDS:
                    continue
                least, most = (min(seconds(pattern, given, anywhere) for _ in range(3)) for given in (small, large))
                if most > max(SECONDS, 24 * least):
                    slow.append((name, text, end))
    assert not slow


def test_patterns_are_held_by_modules_and_so_are_found() -> None:
    """A pattern that is made within a function, of a client's text perhaps, is seen by no test: patterns of users are `goregexp`'s."""
    inside = []
    for package in READERS:
        for path in sorted((SOURCE / package).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text())):
                if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
                    continue
                for call in ast.walk(node):
                    if (
                        isinstance(call, ast.Call)
                        and isinstance(call.func, ast.Attribute)
                        and isinstance(call.func.value, ast.Name)
                    ):
                        constant = bool(call.args) and isinstance(call.args[0], ast.Constant)
                        if call.func.value.id == "re" and call.func.attr != "escape" and not constant:
                            inside.append(str(path.relative_to(SOURCE)))
    assert sorted(set(inside)) == sorted(MADE_WITHIN)


# Of constants of the module; of a name of the module's, the end of which HTML is looked through for once.
MADE_WITHIN = ("apiserver/crd/formats.py", "apiserver/endpoints/connect/rewriting.py")
