"""Field paths and validation errors, after apimachinery's `util/validation/field`.

errors.append(field.invalid(path / "containers" / 0 / "name", name, "must not be empty"))
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

T = TypeVar("T")


LONGEST_PART = 1024  # characters of one key that a path shows: of a list's errors each shows the key above


class Path:
    """A place in an object: `Path("spec") / "ports" / 0 / "name"`; `key("a.b/c")` for map keys."""

    __slots__ = ("_above", "_part")

    def __init__(self, text: str = "", above: Path | None = None) -> None:
        """`text` is what stands behind the path `above`, as written there."""
        self._part, self._above = text, above

    def __truediv__(self, part: str | int) -> Path:
        return Path(f"[{part}]" if isinstance(part, int) else f".{part[:LONGEST_PART]}", self)

    def key(self, key: str) -> Path:
        """The value under a key of a map."""
        return Path(f"[{key[:LONGEST_PART]}]", self)

    @property
    def text(self) -> str:
        """Put together when an error needs it: paths are made for all that is checked, and may be as long as a client's keys."""
        parts: list[str] = []
        path: Path | None = self
        while path is not None:
            parts.append(path._part)
            path = path._above
        text = "".join(reversed(parts))
        return text[1:] if text.startswith(".") and len(parts) > 1 and not parts[-1] else text

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return f"Path({self.text!r})"


@dataclass(frozen=True, slots=True)
class FieldError:
    """One cause of a refusal: `reason` as in Status causes (FieldValueInvalid), `body` the message without the path."""

    reason: str
    field: str
    body: str

    def __str__(self) -> str:
        return f"{self.field}: {self.body}"


# Go's %q of what JSON writes as \u00xx.
_GO_ESCAPES = {
    **{code: f"\\x{code:02x}" for code in (*range(0x20), 0x7F)},
    **{ord(char): f"\\{letter}" for char, letter in zip('\a\b\t\n\v\f\r"\\', 'abtnvfr"\\', strict=True)},
}


_PIECE = 1 << 14  # characters: some milliseconds


def quote(value: Any) -> str:
    """A value as Go's %q or %v prints it in such messages; maps and lists as JSON."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return "null"
    if isinstance(value, str):
        return f'"{_escaped(value)}"'
    return (
        json.dumps(value, separators=(",", ":"), ensure_ascii=False) if isinstance(value, dict | list) else str(value)
    )


def _escaped(text: str) -> str:
    """A large value (an object that a patch gave) by pieces: `translate` is slow, and lets nobody else work meanwhile."""
    if len(text) <= _PIECE:
        return text.translate(_GO_ESCAPES)
    return "".join([text[start : start + _PIECE].translate(_GO_ESCAPES) for start in range(0, len(text), _PIECE)])


def _with(text: str, detail: str) -> str:
    return f"{text}: {detail}" if detail else text


def repeats(values: Iterable[T]) -> Iterator[tuple[int, T]]:
    """(index, value) of each that stood before."""
    seen: set[T] = set()
    for index, value in enumerate(values):
        if value in seen:
            yield index, value
        seen.add(value)


def required(path: Path, detail: str = "") -> FieldError:
    """The field must have a value."""
    return FieldError("FieldValueRequired", path.text, _with("Required value", detail))


OMITTED: Any = object()  # in place of a value that a message would only be long with (field.OmitValueType)


def invalid(path: Path, value: Any, detail: str) -> FieldError:
    """The value has the right type but is not allowed."""
    shown = "Invalid value" if value is OMITTED else f"Invalid value: {quote(value)}"
    return FieldError("FieldValueInvalid", path.text, _with(shown, detail))


def not_supported(path: Path, value: Any, valid: Sequence[str]) -> FieldError:
    """The value is none of the enumerated ones, which are named in the order given."""
    detail = f"supported values: {', '.join(quote(v) for v in valid)}" if valid else ""
    return FieldError("FieldValueNotSupported", path.text, _with(f"Unsupported value: {quote(value)}", detail))


def duplicate(path: Path, value: Any) -> FieldError:
    """The value must be unique in its list."""
    shown = "Duplicate value" if value is OMITTED else f"Duplicate value: {quote(value)}"
    return FieldError("FieldValueDuplicate", path.text, shown)


def not_found(path: Path, value: Any) -> FieldError:
    """What the value refers to does not exist."""
    return FieldError("FieldValueNotFound", path.text, f"Not found: {quote(value)}")


def forbidden(path: Path, detail: str) -> FieldError:
    """The field may not be set (here, now, by this caller)."""
    return FieldError("FieldValueForbidden", path.text, _with("Forbidden", detail))


def too_long(path: Path, limit: int) -> FieldError:
    """The value exceeds so many bytes."""
    return FieldError("FieldValueTooLong", path.text, f"Too long: may not be more than {limit} bytes")


def too_many(path: Path, actual: int, limit: int) -> FieldError:
    """The list has more items than allowed."""
    return FieldError("FieldValueTooMany", path.text, f"Too many: {actual}: must have at most {limit} items")


def internal(path: Path, detail: str) -> FieldError:
    """Validation itself failed."""
    return FieldError("InternalError", path.text, _with("Internal error", detail))


def aggregate(errors: Sequence[FieldError]) -> str:
    """Several errors as one message: `[a, b]`, duplicates once (ErrorList.ToAggregate)."""
    texts = list(dict.fromkeys(str(e) for e in errors))
    return texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"
