"""What the generated types share."""

from datetime import UTC, datetime
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


def decode_hook(kind: type, value: Any) -> Any:
    """Quantities come as strings or numbers."""
    if kind is Quantity:
        return Quantity.parse(value if isinstance(value, str) else str(value))
    raise NotImplementedError(kind)


def encode_hook(value: Any) -> Any:
    """Quantities go out in canonical form."""
    if isinstance(value, Quantity):
        return str(value)
    raise NotImplementedError(type(value))


__all__ = ["Quantity", "Time", "_dict", "_epoch", "_list", "_null", "decode_hook", "encode_hook"]
