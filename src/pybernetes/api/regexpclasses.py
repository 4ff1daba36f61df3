"""The Unicode classes that Go's regular expressions name, as ranges of the RE2 library (upstream: Go's regexp/syntax, unicodeTable).

Go compares names without case, blanks, hyphens and underscores; it knows aliases and the categories Cn and LC, which the library lacks.
"""

from __future__ import annotations

import re
import sys
import unicodedata
from collections.abc import Callable
from functools import lru_cache
from typing import Final

_CATEGORIES: Final = frozenset((
    "Cc", "Cf", "Co", "Cs", "L", "Ll", "Lm", "Lo", "Lt", "Lu", "M", "Mc", "Me", "Mn", "N", "Nd", "Nl", "No",
    "P", "Pc", "Pd", "Pe", "Pf", "Pi", "Po", "Ps", "S", "Sc", "Sk", "Sm", "So", "Z", "Zl", "Zp", "Zs",
))  # fmt: skip
_ALIASES: Final = {  # Unicode's long names of categories, as Go compares them: without case, blank, hyphen and underscore
    "other": "C", "control": "Cc", "cntrl": "Cc", "format": "Cf", "unassigned": "Cn", "privateuse": "Co", "surrogate": "Cs",
    "letter": "L", "c": "C", "cn": "Cn",
    "casedletter": "LC", "lc": "LC", "lowercaseletter": "Ll", "modifierletter": "Lm", "otherletter": "Lo", "titlecaseletter": "Lt",
    "uppercaseletter": "Lu", "mark": "M", "combiningmark": "M", "spacingmark": "Mc", "enclosingmark": "Me", "nonspacingmark": "Mn",
    "number": "N", "decimalnumber": "Nd", "digit": "Nd", "letternumber": "Nl", "othernumber": "No", "punctuation": "P", "punct": "P",
    "connectorpunctuation": "Pc", "dashpunctuation": "Pd", "closepunctuation": "Pe", "finalpunctuation": "Pf", "initialpunctuation": "Pi",
    "otherpunctuation": "Po", "openpunctuation": "Ps", "symbol": "S", "currencysymbol": "Sc", "modifiersymbol": "Sk", "mathsymbol": "Sm",
    "othersymbol": "So", "separator": "Z", "lineseparator": "Zl", "paragraphseparator": "Zp", "spaceseparator": "Zs",
}  # fmt: skip


@lru_cache(maxsize=256)
def named_class(name: str, negative: bool, is_script: Callable[[str], bool]) -> str | None:
    """What stands for `\\p{name}` in a class; None where there is no such name."""
    plain = re.sub("[-_ ]", "", name) if name.isascii() else name
    canonical = plain[:1].upper() + plain[1:].lower()
    if canonical == "Ascii":
        return r"\x{80}-\x{10FFFF}" if negative else r"\x00-\x7F"
    if canonical == "Any":
        return r"\P{Any}" if negative else r"\p{Any}"
    if canonical == "Assigned":
        return _ranges("Cn", not negative)
    category = canonical if canonical in _CATEGORIES else _ALIASES.get(plain.lower(), "")
    if category in ("C", "Cn", "LC"):  # which the library lacks, or has without what is unassigned
        return _ranges(category, negative)
    if not category:
        words = [part for part in re.split("[-_ ]", name) if part]
        script = "_".join(part[:1].upper() + part[1:].lower() for part in words)
        category = next((one for one in (name, script) if one and is_script(one)), "")
    return rf"\{'P' if negative else 'p'}{{{category}}}" if category else None


_BEYOND: Final = range(0x40000, 0xE0000)  # no plane of them is in use, so that nobody has to look


@lru_cache(maxsize=8)
def _ranges(category: str, negative: bool) -> str:
    """The runes of a category, or all others, as ranges of a class."""
    inside = {"C": ("Cc", "Cf", "Cn", "Co", "Cs"), "Cn": ("Cn",), "LC": ("Lu", "Ll", "Lt")}[category]
    out: list[str] = []
    begin = -1
    rune = 0
    while rune <= sys.maxunicode:
        if (unicodedata.category(chr(rune)) in inside) != negative:
            begin = rune if begin < 0 else begin
        elif begin >= 0:
            out.append(f"\\x{{{begin:x}}}-\\x{{{rune - 1:x}}}")
            begin = -1
        rune = _BEYOND.stop if rune == _BEYOND.start else rune + 1
    if begin >= 0:
        out.append(f"\\x{{{begin:x}}}-\\x{{10ffff}}")
    return "".join(out)
