"""Definitions as Go clients send them: schemas at any depth come out as JSON has them."""

from pybernetes.api import protobuf


def field(number: int, data: bytes | str | int) -> bytes:
    if isinstance(data, int):
        return bytes([number << 3 & 0x7F]) + bytes([data]) if number < 16 else varint(number << 3) + bytes([data])
    raw = data.encode() if isinstance(data, str) else data
    return varint(number << 3 | 2) + varint(len(raw)) + raw


def varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def entry(name: str, schema: bytes) -> bytes:
    return field(1, name) + field(2, schema)


TYPE, ITEMS, PROPERTIES, ADDITIONAL, DEFAULT = 5, 24, 29, 30, 8
SCHEMA, ALLOWS = 2, 1


def test_schemas() -> None:
    text = field(TYPE, "string")
    array = field(TYPE, "array") + field(ITEMS, field(1, text))
    closed = field(TYPE, "object") + field(ADDITIONAL, field(ALLOWS, 0))
    opened = field(TYPE, "object") + field(ADDITIONAL, field(ALLOWS, 1))
    mapped = field(TYPE, "object") + field(ADDITIONAL, field(ALLOWS, 1) + field(SCHEMA, text))
    named = {"a": array, "b": closed, "c": opened, "d": mapped, "e": text + field(DEFAULT, field(1, '"x"'))}
    root = field(TYPE, "object") + b"".join(field(PROPERTIES, entry(name, one)) for name, one in named.items())
    version = field(1, "v1") + field(4, field(1, root))
    spec = field(1, "example.com") + field(7, version)
    meta = field(1, "apiextensions.k8s.io/v1") + field(2, "CustomResourceDefinition")
    body = b"k8s\x00" + field(1, meta) + field(2, field(2, spec))
    obj = protobuf.decode(body)
    assert obj["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"] == {
        "a": {"type": "array", "items": {"type": "string"}},
        "b": {"type": "object", "additionalProperties": False},
        "c": {"type": "object", "additionalProperties": True},
        "d": {"type": "object", "additionalProperties": {"type": "string"}},
        "e": {"type": "string", "default": "x"},
    }
