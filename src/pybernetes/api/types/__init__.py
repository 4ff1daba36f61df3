"""The typed objects of every built-in group-version: one generated module each (core_v1, apps_v1, ...).

Everything but __init__ and _support is written by tools/update_api.py. Fields are as in upstream's Go types: values have a
zero value ("", 0, [], {}), pointers and times are None when absent, and JSON leaves out or writes zero values as Go does.
Types of which today's definitions know nothing (options, reviews sent to webhooks, group-versions that have left) are in modules
that load only when `type_of` is asked for them, GROUP_VERSION_unserved where the group-version has served kinds, too.
Quantities are `Quantity`, times `datetime` (MicroTime: str), base64 `bytes`. Unknown fields are skipped.
"""

import importlib
from typing import Any, TypeVar

import msgspec

from ._kinds import KINDS
from ._support import decode_hook, encode_hook

__all__ = ["KINDS", "decode", "encode", "from_json", "type_of"]

T = TypeVar("T")

_encoder = msgspec.json.Encoder(enc_hook=encode_hook)
_decoders: dict[Any, Any] = {}


def type_of(api_version: str, kind: str) -> Any:
    """The class of a built-in kind; KeyError if there is none."""
    place = KINDS.get((api_version, kind))
    if place is None:
        from ._unserved_kinds import KINDS as UNSERVED
        from ._unserved_kinds import SHARED

        place = UNSERVED.get((api_version, kind)) or SHARED.get(kind)
    if place is None:
        raise KeyError((api_version, kind))
    module, name = place
    return getattr(importlib.import_module(f"{__name__}.{module}"), name)


def decode(data: bytes | str, cls: type[T]) -> T:
    """JSON to a typed object; null stands for the zero value; raises msgspec.ValidationError."""
    decoder = _decoders.get(cls)
    if decoder is None:
        decoder = _decoders[cls] = msgspec.json.Decoder(cls, dec_hook=decode_hook)
    try:
        result: T = decoder.decode(data)
    except msgspec.ValidationError:
        # Go writes nil slices of required fields as null: rare enough to be found out by failing first.
        result = from_json(_without_nulls(msgspec.json.decode(data)), cls)
    return result


def from_json(value: Any, cls: type[T]) -> T:
    """What JSON's objects, lists and strings say, typed; null stands for the zero value; raises msgspec.ValidationError."""
    try:
        return msgspec.convert(value, cls, dec_hook=decode_hook, builtin_types=())
    except msgspec.ValidationError:
        return msgspec.convert(_without_nulls(value), cls, dec_hook=decode_hook, builtin_types=())


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _without_nulls(v) for k, v in value.items() if v is not None}
    return [_without_nulls(v) for v in value] if isinstance(value, list) else value


def encode(value: Any) -> bytes:
    """A typed object to JSON."""
    return _encoder.encode(value)
