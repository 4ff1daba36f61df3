"""The configuration file of a part: KubeletConfiguration, KubeProxyConfiguration, KubeSchedulerConfiguration.

A field means a flag, and is read with the flag's parser. As in upstream's files (component-base, apimachinery's strict serializer):
unknown fields are refused; what Go leaves out as a zero value ("", 0, a duration of 0s) keeps the flag's default, unless the field is a
pointer there; a flag that was given on the command line wins.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from . import flags
from .command import UsageError
from .flags import Flag, Values

_log = logging.getLogger(__name__)


class ConfigFileError(ValueError):
    """A document that cannot be used; one line that names the field."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of configuration. Fields are paths with dots; a path of `without_effect` and `read_elsewhere` stands for all below it."""

    api_version: str
    name: str
    fields: Mapping[str, str]  # field -> flag of the same meaning
    pointers: Collection[str] = ()  # fields whose zero value is a value
    converters: Mapping[str, Callable[[Any], Any]] = field(
        default_factory=dict
    )  # for what is no text in the flag's syntax
    without_effect: Mapping[str, str] = field(
        default_factory=dict
    )  # upstream's, for which nothing stands here -> why, or ""
    read_elsewhere: Collection[str] = ()  # by the part itself


def load(path: str) -> Any:
    """The YAML document of --config. UsageError."""
    import yaml

    try:
        return yaml.safe_load(Path(path).read_text())
    except OSError as error:
        raise UsageError(f"--config={path}: {error.strerror}") from error
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        raise UsageError(f"--config={path}: {' '.join(str(error).split())}") from error


def merged(
    kind: Kind, declared: Sequence[Flag], values: Values, document: Any, obeyed: Collection[str] | None = None
) -> Values:
    """The values of a command line with those of the file of its --config. UsageError where the file cannot be used.

    `obeyed`: the flags that count beside a file, where that are not all; the others are at their defaults then.
    """
    try:
        of_file = values_of(kind, declared, document)
    except ConfigFileError as error:
        raise UsageError(f"--config={values['config']}: {error}") from error
    given = values.given if obeyed is None else values.given & set(obeyed)
    for name in sorted(values.given - given):
        _log.warning("--%s has no effect together with --config", name)
    defaults = {flag.name: flag.default for flag in declared}
    return Values({**defaults, **of_file, **{name: values[name] for name in given}}, values.given)


def values_of(kind: Kind, declared: Sequence[Flag], document: Any) -> dict[str, Any]:
    """What the document gives, by flag. ConfigFileError."""
    if not isinstance(document, dict) or (document.get("apiVersion"), document.get("kind")) != (
        kind.api_version,
        kind.name,
    ):
        given = f"{document.get('apiVersion')}, {document.get('kind')}" if isinstance(document, dict) else "no object"
        raise ConfigFileError(f"want {kind.name} of {kind.api_version}, not {given}")
    parsers = {flag.name: flag.type for flag in declared}
    values: dict[str, Any] = {}
    for path, value in _leaves(kind, {k: v for k, v in document.items() if k not in ("apiVersion", "kind")}, ""):
        name = kind.fields[path]
        zero = path not in kind.pointers and _is_zero(value, parsers[name])
        if value is not None and not (zero and not _mistyped(value, parsers[name])):
            values[name] = _converted(kind, path, value, parsers[name])
    return values


def _leaves(kind: Kind, section: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    """(path, value) of the fields that mean flags. ConfigFileError for one that upstream has not."""
    for key, value in section.items():
        path = f"{prefix}{key}"
        if path in kind.fields:
            yield path, value
        elif path in kind.read_elsewhere:
            continue
        elif path in kind.without_effect:
            if _says_something(value):
                why = kind.without_effect[path]
                _log.warning("%s: %s has no effect here%s", kind.name, path, f": {why}" if why else "")
        elif not _is_section(kind, path):
            raise ConfigFileError(f'strict decoding error: unknown field "{path}"')
        elif isinstance(value, dict):
            yield from _leaves(kind, value, f"{path}.")
        elif value is not None:
            raise ConfigFileError(f"{path}: {value!r} is no object")


def _is_section(kind: Kind, path: str) -> bool:
    names = (*kind.fields, *kind.without_effect, *kind.read_elsewhere)
    return any(name.startswith(f"{path}.") for name in names)


def _is_zero(value: Any, parser: Callable[[str], Any]) -> bool:
    """What Go does not tell from a field that is left out. False is a value: not all defaults here are Go's."""
    if isinstance(value, bool):
        return False
    return value in ("", 0) or (parser is flags.duration and str(value) in ("0s", "0"))


def _says_something(value: Any) -> bool:
    if isinstance(value, dict):
        return any(map(_says_something, value.values()))
    return value not in (None, "", 0, "0s", [])


def _converted(kind: Kind, path: str, value: Any, parser: Callable[[str], Any]) -> Any:
    words = "" if path in kind.converters else _mistyped(value, parser)
    if words:
        raise ConfigFileError(words.format(field=f"{kind.name}.{path}"))
    try:
        if path in kind.converters:
            return kind.converters[path](value)
        return parser(_text(value))
    except (ValueError, TypeError, LookupError, AttributeError) as error:
        raise ConfigFileError(f"{path}: {value!r}: {error}") from error


_JSON_TYPES = ((bool, "bool"), (int, "number"), (float, "number"), (str, "string"), (list, "array"), (dict, "object"))
# By the flag's type: what JSON calls a value of the field, and what Go does. Lists may stand as text with commas, where upstream's field is that.
_FIELD_TYPES: Mapping[Callable[[str], Any], tuple[str, str]] = {
    flags.string: ("string", "string"),
    flags.boolean: ("bool", "bool"),
    flags.integer: ("number", "int32"),
    flags.number: ("number", "float32"),
    flags.duration: ("string", "string"),
    flags.mapping: ("object", "map[string]string"),
    flags.switches: ("object", "map[string]bool"),
}


def _mistyped(value: Any, parser: Callable[[str], Any]) -> str:
    """Go's words for a value of another type than the field's, "" where there are none."""
    wanting, go = _FIELD_TYPES.get(parser, ("", ""))
    given = next((name for kind, name in _JSON_TYPES if isinstance(value, kind)), "")
    if not wanting or not given or (given == wanting and not (go == "int32" and isinstance(value, float))):
        return ""
    shown = f"{given} {value}" if given == wanting else given
    if parser is flags.duration:
        return f"json: cannot unmarshal {shown} into Go value of type string"
    return f"json: cannot unmarshal {shown} into Go struct field {{field}} of type {go}"


def _text(value: Any) -> str:
    """As it would stand on a command line."""
    if isinstance(value, list):
        return ",".join(map(str, value))
    if isinstance(value, dict):
        return ",".join(f"{key}={item}" for key, item in value.items())
    return str(value).lower() if isinstance(value, bool) else str(value)
