"""string.format (upstream: cel-go ext/formatting.go, in the locale en_US)."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from .. import convert
from ..errors import EvaluationError
from ..values import Duration, Object, Steps, Timestamp, TypeValue, Uint, from_key, text_of, type_name

DEFAULT_PRECISION = 6
MAX_PRECISION = 1000  # digits: upstream has no limit here, and a text of a thousand digits is of use to nobody
STEP = 16  # characters that count as one thing looked at
_CLAUSE = re.compile(r"%(?:%|(?:\.([0-9]*))?(.)|$)", re.DOTALL)
_SUPERSCRIPTS = str.maketrans("0123456789+-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻")
_SPECIAL = ("NaN", "Infinity", "-Infinity")


def formatted(pattern: str, arguments: Sequence[Any], steps: Steps) -> str:
    """The pattern with its clauses replaced by arguments. EvaluationError for a clause that is none, or of another type."""
    parts: list[str] = []
    count = 0
    for part in _parts(pattern):
        if isinstance(part, str):
            parts.append(part)
            continue
        if count >= len(arguments):
            raise EvaluationError(f"index {count} out of range")
        parts.append(_clause(*part, arguments[count], steps))
        count += 1
    return "".join(parts)


Clause = tuple[str, int]  # verb and precision


def clauses(pattern: str) -> Iterator[Clause]:
    """Those of a pattern that take an argument. EvaluationError for one that is none."""
    return (part for part in _parts(pattern) if not isinstance(part, str))


def _parts(pattern: str) -> Iterator[str | Clause]:
    """Texts and clauses."""
    at = 0
    for match in _CLAUSE.finditer(pattern):
        yield pattern[at : match.start()]
        at = match.end()
        if match[0] == "%%":
            yield "%"
            continue
        if match[2] is None:
            raise EvaluationError("unexpected end of string")
        if match[2] != "s" and match[2] not in _VERBS:
            raise EvaluationError(f'could not parse formatting clause: unrecognized formatting clause "{match[2]}"')
        yield match[2], _precision(match[1])
    yield pattern[at:]


def _precision(digits: str | None) -> int:
    if digits is None:
        return DEFAULT_PRECISION
    if digits and len(digits) <= 4 and int(digits) <= MAX_PRECISION:
        return int(digits)
    reason = "invalid syntax" if not digits else "value out of range"
    raise EvaluationError(
        "could not parse formatting clause: error while parsing precision: error while converting precision to integer: "
        f'strconv.Atoi: parsing "{digits}": {reason}'
    )


def _clause(verb: str, precision: int, value: Any, steps: Steps) -> str:
    if verb == "s":
        text = _string(value, steps)
        steps.take(len(text) // STEP)
        return text
    return _VERBS[verb](value, precision)


REFUSALS = {
    "s": "string clause can only be used on strings, bools, bytes, ints, doubles, maps, lists, types, durations, and timestamps",
    "d": "decimal clause can only be used on integers",
    "f": "fixed-point clause can only be used on doubles",
    "e": "scientific clause can only be used on doubles",
    "b": "only integers and bools can be formatted as binary",
    "o": "octal clause can only be used on integers",
    "x": "only integers, byte buffers, and strings can be formatted as hex",
}


def _refused(verb: str, value: Any) -> EvaluationError:
    return EvaluationError(f"error during formatting: {REFUSALS[verb]}, was given {type_name(value)}")


# --- %s ----------------------------------------------------------------------------------------


class _Writer:
    """Writes values that may have others in them, and stops when the text is too long."""

    def __init__(self, steps: Steps) -> None:
        self.parts: list[str] = []
        self._steps = steps

    def put(self, text: str) -> None:
        self.parts.append(text)
        self._steps.take(1 + len(text) // STEP)

    def nested(self, value: Any) -> None:
        """As within a list or map, where texts are quoted."""
        match value:
            case list():
                self.put("[")
                for index, item in enumerate(value):
                    self.put(", " if index else "")
                    self.nested(item)
                self.put("]")
            case dict() | Object():
                self._map(value)
            case str():
                self.put(go_quoted(value))
            case bytes():
                self.put(f"b{go_quoted(value.decode('utf-8', 'replace'))}")
            case bool() | None | TypeValue():
                self.put(text_of(value))
            case float():
                text = _go_fixed(value, DEFAULT_PRECISION)
                self.put(text if math.isfinite(value) else f'"{text}"')
            case int():
                self.put(str(int(value)))
            case Timestamp():
                self.put(f'timestamp("{convert.timestamp_text(value)}")')
            case Duration():
                self.put(f'duration("{convert.duration_text(value)}")')
            case _:
                raise EvaluationError(f"error during formatting: no formatting function for {type_name(value)}")

    def _map(self, value: dict[Any, Any] | Object) -> None:
        if isinstance(value, Object):
            pairs = [(name, value.get(name)) for name in value.names()]
        else:
            pairs = [(from_key(key), item) for key, item in value.items()]
        named = sorted(((self._key(key), item) for key, item in pairs), key=lambda pair: pair[0])
        self.put("{")
        for index, (name, item) in enumerate(named):
            self.put(f"{', ' if index else ''}{name}:")
            self.nested(item)
        self.put("}")

    @staticmethod
    def _key(key: Any) -> str:
        match key:
            case str():
                return go_quoted(key)
            case bool() | int():
                return text_of(int(key) if isinstance(key, Uint) else key)
        raise EvaluationError(f"error during formatting: no formatting function for map key of type {type_name(key)}")


def _string(value: Any, steps: Steps) -> str:
    if isinstance(value, list | dict | Object):
        writer = _Writer(steps)
        writer.nested(value)
        return "".join(writer.parts)
    if value is None:
        return "null"
    if isinstance(value, bool | int | float | str | bytes | Timestamp | Duration):
        return convert.to_string(value)
    if isinstance(value, TypeValue):
        return value.name
    raise _refused("s", value)


# --- the other verbs ---------------------------------------------------------------------------


def _decimal(value: Any, _: int) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return str(int(value))
    raise _refused("d", value)


def _double(value: Any, verb: str) -> float:
    if isinstance(value, float):
        return value
    if isinstance(value, str) and value in _SPECIAL:
        return float(value)
    raise _refused(verb, value)


def _fixed(value: Any, precision: int) -> str:
    number = _double(value, "f")
    return _special(number) or f"{number:,.{precision}f}"


def _scientific(value: Any, precision: int) -> str:
    number = _double(value, "e")
    special = _special(number)
    if special:
        return special
    mantissa, _, exponent = f"{number:.{precision}e}".partition("e")
    power = f"{'-' if exponent[0] == '-' else ''}{abs(int(exponent)):02d}".translate(_SUPERSCRIPTS)
    return f"{mantissa}×10{power}"  # noqa: RUF001


def _special(number: float) -> str:
    if math.isnan(number):
        return "NaN"
    return ("∞" if number > 0 else "-∞") if math.isinf(number) else ""


def _go_fixed(number: float, precision: int) -> str:
    if math.isnan(number):
        return "NaN"
    return ("+Inf" if number > 0 else "-Inf") if math.isinf(number) else f"{number:.{precision}f}"


def _binary(value: Any, _: int) -> str:
    if isinstance(value, int):
        return f"{int(value):b}"
    raise _refused("b", value)


def _octal(value: Any, _: int) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{int(value):o}"
    raise _refused("o", value)


def _hexadecimal(upper: bool) -> Callable[[Any, int], str]:
    def write(value: Any, _: int) -> str:
        if isinstance(value, str):
            text = value.encode().hex()
        elif isinstance(value, bytes):
            text = value.hex()
        elif isinstance(value, int) and not isinstance(value, bool):
            text = f"{int(value):x}"
        else:
            raise _refused("x", value)
        return text.upper() if upper else text

    return write


_VERBS: dict[str, Callable[[Any, int], str]] = {
    "d": _decimal, "f": _fixed, "e": _scientific, "b": _binary, "o": _octal,
    "x": _hexadecimal(False), "X": _hexadecimal(True),
}  # fmt: skip

_GO_ESCAPES = {"\a": "\\a", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\v": "\\v", "\\": "\\\\", '"': '\\"'}  # fmt: skip


def go_quoted(text: str) -> str:
    """As Go's %q."""
    return '"' + "".join(map(_go_character, text)) + '"'


def _go_character(character: str) -> str:
    escaped = _GO_ESCAPES.get(character)
    if escaped is not None:
        return escaped
    if character.isprintable():
        return character
    code = ord(character)
    if code < 0x80:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
