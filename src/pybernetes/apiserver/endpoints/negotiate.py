"""Media types: what the client sends and what it accepts (upstream: endpoints/handlers/negotiation)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from pybernetes.api import errors, gojson, gosyntax
from pybernetes.wire.http import Request

from .. import pieces, schema, schemawalker
from ..generic import typemeta
from ..generic.typemeta import Kind, OtherVersion, TypeMismatch
from ..query import Query
from ..resource import Object
from ..schema import Validation
from . import packing

if TYPE_CHECKING:
    import yaml

JSON, YAML = "application/json", "application/yaml"
PROTOBUF = "application/vnd.kubernetes.protobuf"
SUPPORTED = (JSON, YAML, PROTOBUF)
LIBYAML_DEPTH = "exceeded maximum nesting depth"  # of 1,000; go-yaml's is 10,000
MAX_CLAUSES, MAX_PARAMETERS = 256, 32  # of Accept that are looked at: a header may have a hundred thousand
REMEMBERED_HEADER = 512  # characters of an Accept header whose choice is remembered
CONVERSION = frozenset(("as", "g", "v"))  # parameters of Accept: any of them asks for another kind
KINDS = ("Table", "PartialObjectMetadata", "PartialObjectMetadataList")
STREAMED = tuple(f"{media};stream=watch" for media in SUPPORTED if media != YAML)
_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_PARAMETER = re.compile(rf'\s*;\s*{_TOKEN}\s*=\s*(?:{_TOKEN}|"(?:[^"\\]|\\.)*")')


class BodySchema(Protocol):
    """What a kind's bodies are read with: schema.CompiledSchema, crd.schema.CustomSchema."""

    def decode(self, body: bytes, validation: Validation = "Warn") -> tuple[Object, list[str]]:
        """The object and warnings; StatusError 400."""
        ...

    def refused(self, why: str) -> errors.StatusError:
        """400, in the usual words."""
        ...


@dataclass(frozen=True, slots=True)
class Accepted:
    """What to answer with; `kind` "" for the object itself."""

    media: str = JSON
    kind: str = ""
    version: str = ""
    pretty: bool = False


def _parts(clause: str) -> tuple[str, dict[str, str]]:
    media, *parameters = (p.strip() for p in clause.split(";", MAX_PARAMETERS)[:MAX_PARAMETERS])
    return media.lower(), dict(p.partition("=")[::2] for p in parameters)


def accepted(
    request: Request, query: Query, stream: bool = False, kinds: tuple[str, ...] = KINDS, protobuf: bool = True
) -> Accepted:
    """The best clause of Accept that can be given; StatusError 406.

    `kinds`: as which what is asked for can be shown; `protobuf`: it has a form in protobuf, of which its metadata always has one.
    A stream in the best clause's form is not another clause's: there is none in YAML.
    """
    header = ",".join(request.header_values("accept")) or JSON
    best = (_best_again if len(header) <= REMEMBERED_HEADER else _best)(header, kinds, protobuf)
    if best is None or (stream and best.media == YAML):
        only = SUPPORTED if best is None else STREAMED
        raise errors.not_acceptable(f"only the following media types are accepted: {', '.join(only)}")
    return replace(best, pretty=True) if _pretty(request, query) and not best.pretty else best


def _best(header: str, kinds: tuple[str, ...], protobuf: bool) -> Accepted | None:
    for media, parameters in _by_preference(header):
        if media in ("*/*", "application/*"):
            media = JSON
        if media not in SUPPORTED or not _streams(media, parameters):
            continue
        kind = parameters.get("as", "")
        if CONVERSION & parameters.keys() and (
            kind not in kinds or parameters.get("g") != "meta.k8s.io" or parameters.get("v") not in ("v1", "v1beta1")
        ):
            continue
        if kind == "Table" and media == PROTOBUF:
            continue
        if media == PROTOBUF and not kind and not protobuf:
            continue
        return Accepted(media, kind, parameters.get("v", "v1"), parameters.get("pretty") == "1")
    return None


_best_again = lru_cache(256)(_best)  # a client sends the same header with each of its requests


def _streams(media: str, parameters: Mapping[str, str]) -> bool:
    """Whether the schema of streams and the version of meta that a clause may name are served (upstream: acceptMediaTypeOptions)."""
    schema, version = parameters.get("stream"), parameters.get("sv")
    return (not schema or (schema == "watch" and media != YAML)) and version in (None, "", "v1")


def _by_preference(header: str) -> list[tuple[str, dict[str, str]]]:
    """The clauses, the best first: by quality, wildcards last among equals, else as they stand."""
    clauses = [_parts(clause) for clause in header.split(",", MAX_CLAUSES)[:MAX_CLAUSES]]
    if len(clauses) == 1:
        return clauses
    return sorted(
        clauses, key=lambda clause: (-_quality(clause[1]), clause[0].startswith("*/"), clause[0].endswith("/*"))
    )


def _quality(parameters: dict[str, str]) -> float:
    try:
        quality = float(parameters.get("q", "1"))
    except ValueError:
        return 1.0
    return quality if 0 <= quality <= 1 else 1.0


def _pretty(request: Request, query: Query) -> bool:
    if query.get("pretty"):
        return query["pretty"] in (
            "1",
            "t",
            "T",
            "TRUE",
            "true",
            "True",
        )  # strconv.ParseBool; what is neither yes nor no is a no
    agent = request.header("user-agent") or ""
    return agent.startswith(("curl", "Wget", "Mozilla/5.0"))


def document(request: Request, kind: str) -> Any:
    """The body as JSON-like data, whichever form it came in; `kind` is what it should be. StatusError 400, 415."""
    body = json_body(request, kind)
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass
    try:
        return schemawalker.untyped(schema.read_json(body, kind))[0]
    except (schemawalker.Refused, RecursionError) as error:
        raise errors.bad_request(str(error)) from None


def yaml_document(body: bytes) -> Any:
    """YAML as JSON-like data; ValueError whose text is upstream's."""
    try:
        # Nearly all that clients send as YAML is JSON.
        return gojson.numbers(msgspec.json.decode(body))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass
    import yaml  # rare

    from . import yamlreader

    try:
        return yamlreader.read(body)
    except (yaml.YAMLError, TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"error converting YAML to JSON: {_words(error)}") from None


def _words(error: Exception) -> str:
    """In the form of Go's YAML reader, its way of counting lines included (go-yaml: parser.fail)."""
    if isinstance(error, RecursionError):
        return f"yaml: {gosyntax.TOO_DEEP}"
    problem = getattr(error, "problem", None) or getattr(error, "reason", None)
    if problem == LIBYAML_DEPTH:
        problem = gosyntax.TOO_DEEP
    if problem is None:
        return str(error)
    marks = (getattr(error, "context_mark", None), getattr(error, "problem_mark", None))
    line = next((mark.line for mark in marks if mark is not None and mark.line), 0)
    if line and type(error).__name__ == "ScannerError":
        line += 1
    return f"yaml: line {line}: {problem}" if line else f"yaml: {problem}"


def _protobuf(body: bytes) -> Any:
    from pybernetes.api import protobuf  # only kubectl's create and Go clients send it

    return protobuf.decode(body)


def json_body(request: Request, kind: str) -> bytes:
    """The body as JSON bytes; `kind` is what it should be. StatusError 400 for what cannot be told as JSON, 415 for other media types."""
    media = content_type(request)
    if media == JSON:
        return request.body
    try:
        if media == YAML:
            return msgspec.json.encode(yaml_document(request.body))
        if media == PROTOBUF:
            return msgspec.json.encode(_protobuf(request.body))
    except ValueError as error:
        raise schema.unreadable(request.body, kind, str(error)) from None
    except RecursionError:
        raise schema.too_deep(request.body, kind) from None
    accepted_types = ", ".join(SUPPORTED)
    raise errors.unsupported_media_type(
        f"the body of the request was in an unknown format - accepted media types include: {accepted_types}"
    )


def content_type(request: Request) -> str:
    """The body's media type: JSON where none is said, "" for what is none (Go's mime.ParseMediaType)."""
    header = request.header("content-type") or JSON
    if header == JSON:
        return JSON
    media = header.partition(";")[0]
    end = len(media)
    while parameter := _PARAMETER.match(header, end):
        end = parameter.end()
    return media.strip().lower() if header[end:].strip() in ("", ";") else ""


def decoded(request: Request, kind: str, reader: BodySchema, validation: Validation) -> tuple[Object, list[str]]:
    """The body as an object, and what is to be warned of. StatusError 400, 415."""
    try:
        return _decoded(request, kind, reader, validation)
    except RecursionError:
        raise schema.too_deep(request.body, kind) from None


def _decoded(request: Request, kind: str, reader: BodySchema, validation: Validation) -> tuple[Object, list[str]]:
    body = json_body(request, kind)
    twice = [] if validation == "Ignore" else _twice(request)
    if not twice:
        return reader.decode(body, validation)
    obj, warnings = reader.decode(body, "Warn")
    if validation == "Strict":
        listed = "yaml: unmarshal errors:\n" + "\n".join(f"  {one}" for one in twice)
        raise reader.refused(f"strict decoding error: {', '.join((listed, *warnings))}")
    return obj, [*twice, *warnings]


def _twice(request: Request) -> list[str]:
    """Keys that a YAML body sets again; of JSON bodies the schema tells."""
    return repeated(request.body) if content_type(request) == YAML else []


def repeated(body: bytes) -> list[str]:
    """Keys that YAML, or JSON read as such, sets again, each with its line, in upstream's words."""
    from . import yamlreader  # rare

    try:
        if not pieces.has_duplicates(body):
            return []
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass
    try:
        return yamlreader.duplicates(body)
    except RecursionError:
        return []


def require_kind(own: Kind, value: Any, body: bytes) -> None:
    """StatusError 400 where a posted or put body says that it is another kind's; what it does not say it is.

    Upstream: handlers/rest.go transformDecodeError.
    """
    try:
        api_version, kind = typemeta.interpreted(value)
    except TypeMismatch as mismatch:
        raise schema.unreadable(body, own.kind, str(mismatch)) from None
    api_version, kind = api_version or own.api_version, kind or own.kind
    try:
        typemeta.check(own, api_version, kind)
    except OtherVersion as mismatch:
        raise errors.bad_request(str(mismatch)) from None
    except TypeMismatch as mismatch:
        version = api_version.rsplit("/", 1)[-1]
        text = f'{kind} in version "{version}" cannot be handled as a {own.kind}: {mismatch}'
        raise errors.bad_request(text) from None


@cache
def _dumper() -> type[yaml.SafeDumper]:
    """Writes what is there twice twice: upstream's YAML has no aliases."""
    import yaml  # rare

    class Dumper(yaml.SafeDumper):
        def ignore_aliases(self, data: Any) -> bool:
            return True

    return Dumper


def encode(value: Any, form: Accepted) -> tuple[str, bytes]:
    """(content type, bytes) of JSON-like data or of JSON bytes."""
    if form.media == YAML:
        import yaml  # rare

        plain = msgspec.json.decode(value) if isinstance(value, bytes) else value
        try:
            return YAML, yaml.dump(plain, Dumper=_dumper(), sort_keys=True, default_flow_style=False).encode()
        except RecursionError:  # JSON is YAML, too
            return YAML, value if isinstance(value, bytes) else msgspec.json.encode(value)
    if form.media == PROTOBUF:
        return PROTOBUF, packing.whole(msgspec.json.decode(value) if isinstance(value, bytes) else value)
    data = value if isinstance(value, bytes) else msgspec.json.encode(value)
    if form.pretty:
        return JSON, msgspec.json.format(data, indent=2) + b"\n"
    return JSON, data if data.endswith(b"\n") else data + b"\n"
