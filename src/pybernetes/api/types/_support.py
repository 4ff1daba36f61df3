"""What the generated types share."""

from datetime import UTC, datetime
from functools import lru_cache
from typing import Annotated, Any

from msgspec import Meta

from ..quantity import Quantity

Time = Annotated[datetime, Meta(tz=True)]


def _list() -> list[Any]:
    # msgspec leaves out an empty value of the factory `list`; Kubernetes writes required lists always.
    return []


def _dict() -> dict[str, Any]:
    return {}


def _null() -> None:
    # A raw object that is not there: Go writes null.
    return None


def _epoch() -> datetime:
    return datetime(1, 1, 1, tzinfo=UTC)


# Objects say the same few amounts ("100m", "64Mi") over and over; a quantity is immutable, so that one serves them all.
_quantity = lru_cache(4096)(Quantity.parse)
CACHED_CHARACTERS = 32  # longer ones are nobody's habit and would make the cache large


def decode_hook(kind: type, value: Any) -> Any:
    """Quantities come as strings or numbers."""
    if kind is Quantity:
        text = value if isinstance(value, str) else str(value)
        return _quantity(text) if len(text) <= CACHED_CHARACTERS else Quantity.parse(text)
    raise NotImplementedError(kind)


def encode_hook(value: Any) -> Any:
    """Quantities go out in canonical form."""
    if isinstance(value, Quantity):
        return str(value)
    raise NotImplementedError(type(value))


__all__ = ["Quantity", "Time", "_dict", "_epoch", "_list", "_null", "decode_hook", "encode_hook"]
