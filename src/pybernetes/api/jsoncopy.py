"""Deep copies of JSON values: dicts, lists, text, numbers, booleans, null."""

from __future__ import annotations

from typing import Any

import msgspec

_encoder, _decoder = msgspec.json.Encoder(), msgspec.json.Decoder()


def json_copy(value: Any) -> Any:
    """Shares nothing with the value; through JSON text in C, since copy.deepcopy takes ten times as long."""
    return _decoder.decode(_encoder.encode(value))


def without_nulls(value: Any) -> Any:
    """A copy without the fields that are null: to typed objects they are as good as absent."""
    if isinstance(value, dict):
        return {key: without_nulls(item) for key, item in value.items() if item is not None}
    return [without_nulls(item) for item in value] if isinstance(value, list) else value
