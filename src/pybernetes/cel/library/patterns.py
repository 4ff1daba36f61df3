"""Regular expressions of expressions: Go's, compiled once each."""

from __future__ import annotations

import re
from collections import OrderedDict

from pybernetes.api import goregexp

from ..values import Steps

KEPT, MAX_KEPT_LENGTH = 512, 10_000  # patterns, and characters of one
READ = 16  # characters of a subject that count as one step: matching an empty pattern is free, reading the text is not
_REPEAT = re.compile(r"\{([0-9]{1,4})(?:,([0-9]{0,4}))?\}")
_compiled: OrderedDict[str, goregexp.Pattern] = OrderedDict()


def pattern(text: str, subject: str, steps: Steps) -> goregexp.Pattern:
    """The pattern. One that is new counts for what it takes to compile it, and each use for reading the subject. RegexpError."""
    steps.take(len(subject) // READ)
    compiled = _compiled.get(text)
    if compiled is None:
        steps.take(_weight(text))
        compiled = goregexp.compile(text)
        if len(text) <= MAX_KEPT_LENGTH:
            _compiled[text] = compiled
        if len(_compiled) > KEPT:
            _compiled.popitem(last=False)
    else:
        _compiled.move_to_end(text)
    return compiled


def _weight(text: str) -> int:
    """About how much larger than its text a pattern becomes by its repetitions, which upstream bounds by 1000 together."""
    factor = 1
    for match in _REPEAT.finditer(text):
        factor = min(factor * max(int(match[2] or match[1]), 1), 1000)
    return len(text) * factor // 2
