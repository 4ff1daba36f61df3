"""What is stored of a value that a KMS plug-in's key protects: the message EncryptedObject, and its rules. Pure.

Upstream: apiserver/pkg/storage/value/encrypt/envelope/kmsv2 (v2/api.proto, envelope.go).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from pybernetes.api import field as fields
from pybernetes.api import names, protowire
from pybernetes.api.field import Path
from pybernetes.store.transformed import Unreadable

AES_GCM_KEY, SEED = 0, 1  # types of data keys: the key itself, what keys are derived from
MAX_ANNOTATIONS, MAX_KEY_ID, MAX_SOURCE = 32 << 10, 1 << 10, 1 << 10  # bytes


@dataclass(frozen=True, slots=True)
class EncryptedObject:
    """`source` is the data key as the plug-in has encrypted it, with its key `key_id`; `annotations` are the plug-in's own."""

    key_id: str
    source: bytes
    annotations: Mapping[str, bytes] = field(default_factory=dict)
    kind: int = SEED
    data: bytes = b""

    def encode(self) -> bytes:
        """The message."""
        parts = [protowire.chunk(1, self.data), protowire.chunk(2, self.key_id.encode())]
        parts.append(protowire.chunk(3, self.source))
        for key in sorted(self.annotations):
            parts.append(protowire.chunk(4, entry(key, self.annotations[key])))
        if self.kind:
            parts.append(protowire.varint(5 << 3) + protowire.varint(self.kind))
        return b"".join(parts)

    @property
    def data_key(self) -> tuple[int, bytes, str, tuple[tuple[str, bytes], ...]]:
        """Which data key it is: alike for all values that were sealed with one."""
        return self.kind, self.source, self.key_id, tuple(sorted(self.annotations.items()))

    def holding(self, data: bytes) -> EncryptedObject:
        """With other data."""
        return replace(self, data=data)


def entry(key: str, value: bytes) -> bytes:
    """Of a map<string, bytes>."""
    return protowire.chunk(1, key.encode()) + protowire.chunk(2, value)


def read_entry(data: bytes) -> tuple[str, bytes]:
    """ProtobufError, UnicodeDecodeError."""
    key, value = b"", b""
    for number, part in protowire.fields(data):
        if isinstance(part, bytes):
            key, value = (part, value) if number == 1 else (key, part) if number == 2 else (key, value)
    return key.decode(), value


def decode(stored: bytes) -> EncryptedObject:
    """Unreadable for what is no such message, or breaks its rules."""
    data = source = key_id = b""
    annotations: dict[str, bytes] = {}
    kind = 0
    try:
        for number, value in protowire.fields(stored):
            match number, value:
                case 1, bytes():
                    data = value
                case 2, bytes():
                    key_id = value
                case 3, bytes():
                    source = value
                case 4, bytes():
                    key, told = read_entry(value)
                    annotations[key] = told
                case 5, int():
                    kind = value
        envelope = EncryptedObject(key_id.decode(), source, annotations, kind, data)
    except (protowire.ProtobufError, UnicodeDecodeError) as error:
        raise Unreadable(f"proto: cannot parse invalid wire-format data: {error}") from error
    problem = problem_of(envelope)
    if problem:
        raise Unreadable(problem)
    return envelope


def problem_of(one: EncryptedObject, *, with_data: bool = True) -> str:
    """What is wrong with it; "" for nothing. A state that seals has no data yet."""
    if one.kind not in (AES_GCM_KEY, SEED):
        return f"unknown encryptedDEKSourceType: {one.kind}"
    if with_data and not one.data:
        return "encrypted data is empty"
    if not one.source:
        return "failed to validate encrypted DEK source: encrypted DEK source is empty"
    if len(one.source) > MAX_SOURCE:
        exceeds = f"{len(one.source)} bytes, which exceeds the max size of {MAX_SOURCE}"
        return f"failed to validate encrypted DEK source: encrypted DEK source is {exceeds}"
    key_problem = key_id_problem(one.key_id)
    if key_problem:
        return f"failed to validate key id: {key_problem[1]}"
    annotations = _annotations_problem(one.annotations)
    return f"failed to validate annotations: {annotations}" if annotations else ""


def key_id_problem(key_id: str) -> tuple[str, str] | None:
    """(the word of the metric, what is wrong), None for a good one."""
    size = len(key_id.encode())
    if not size:
        return "empty", "keyID is empty"
    if size > MAX_KEY_ID:
        return "too_long", f"keyID is {size} bytes, which exceeds the max size of {MAX_KEY_ID}"
    return None


def _annotations_problem(annotations: Mapping[str, bytes]) -> str:
    problems = [text for key in sorted(annotations) for text in _name_problems(key)]
    size = sum(len(key.encode()) + len(value) for key, value in annotations.items())
    if size > MAX_ANNOTATIONS:
        problems.append(f"total size of annotations is {size}, which exceeds the max size of {MAX_ANNOTATIONS}")
    return problems[0] if len(problems) == 1 else f"[{', '.join(problems)}]" if problems else ""


def _name_problems(name: str) -> list[str]:
    """Of what is to be a fully qualified domain name (upstream: validation.IsFullyQualifiedDomainName)."""
    path = Path("annotations")
    if not name:
        return [str(fields.required(path))]
    bare = name.removesuffix(".")
    wrong = [str(fields.invalid(path, bare, text)) for text in names.dns1123_subdomain_errors(bare)]
    if not wrong and "." not in bare:
        wrong.append(str(fields.invalid(path, name, "should be a domain with at least two segments separated by dots")))
    return wrong
