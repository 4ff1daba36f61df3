"""What `apply` takes, as objects: files, folders, texts, dicts, lists, and objects of the Python clients."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from .arguments import WrongArgument

Object = dict[str, Any]
SUFFIXES = (".yaml", ".yml", ".json")
FIRST = ("CustomResourceDefinition", "Namespace")  # others may need these
WANT = "want a path, YAML or JSON, a dict with apiVersion and kind, an object of a client, or a list of these"


def objects(given: object) -> list[Object]:
    """In the order given, but definitions and namespaces before what is in them. WrongArgument; OSError of a file."""
    parsed = list(_objects(given))
    for one in parsed:
        metadata = one.get("metadata")
        if not isinstance(one.get("apiVersion"), str) or not isinstance(one.get("kind"), str):
            raise WrongArgument(f"{_short(one)}: an object has apiVersion and kind")
        if not isinstance(metadata, dict) or not (metadata.get("name") or metadata.get("generateName")):
            raise WrongArgument(f"{one['kind']}: an object has metadata with a name")
    return sorted(parsed, key=lambda one: FIRST.index(one["kind"]) if one["kind"] in FIRST else len(FIRST))


def _objects(given: object) -> Iterable[Object]:
    if isinstance(given, os.PathLike):
        yield from _of_path(Path(given))
    elif isinstance(given, str) and not given.strip():
        raise WrongArgument(f"{given!r}: an empty text; {WANT}")
    elif isinstance(given, str):
        yield from _of_text(given) if "\n" in given or ":" in given or "{" in given else _of_path(Path(given))
    elif isinstance(given, Mapping):
        yield from _items(dict(given))
    elif isinstance(given, list | tuple):
        for one in given:
            yield from _objects(one)
    else:
        yield from _items(_of_client(given))


def _items(obj: Object) -> Iterable[Object]:
    if str(obj.get("kind", "")).endswith("List") and isinstance(obj.get("items"), list):
        for one in obj["items"]:
            yield from _objects(one)
    else:
        yield obj


def _of_path(path: Path) -> Iterable[Object]:
    if path.is_dir():
        files = sorted(file for file in path.rglob("*") if file.suffix in SUFFIXES)
        if not files:
            raise WrongArgument(f"{path}: a folder without {', '.join(SUFFIXES)}")
        for file in files:
            yield from _of_path(file)
        return
    if not path.exists():
        raise WrongArgument(f"{str(path)!r}: no such file; {WANT}")
    yield from _of_text(path.read_text(), str(path))


def _of_text(text: str, name: str = "the text") -> Iterable[Object]:
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        documents = [one for one in yaml.load_all(text, loader) if one is not None]
    except yaml.YAMLError as error:
        raise WrongArgument(f"{name}: {error}") from error
    for one in documents:
        if not isinstance(one, dict):
            raise WrongArgument(f"{name}: {_short(one)} is no object; {WANT}")
        yield from _items(one)


def _of_client(given: object) -> Object:
    """Of kubernetes and kubernetes_asyncio (models), lightkube (`to_dict`), kr8s (`raw`)."""
    raw = getattr(given, "raw", None)
    if isinstance(raw, Mapping):
        return dict(raw)
    package = type(given).__module__.partition(".")[0]
    if package in ("kubernetes", "kubernetes_asyncio"):
        return _serialized(given)
    if hasattr(given, "to_dict"):
        obj = given.to_dict()
        if isinstance(obj, dict):
            kind = getattr(type(given), "_api_info", None)
            if kind is not None and "kind" not in obj:  # lightkube's objects know it without saying so
                return {"apiVersion": str(kind.resource.api_version), "kind": kind.resource.kind, **obj}
            return obj
    raise WrongArgument(f"{_short(given)}: {WANT}")


def _serialized(model: Any) -> Object:
    """By the model's own table of JSON names: the packages' serializers belong to clients, of which there need be none."""
    names: Mapping[str, str] = model.attribute_map
    values = ((names[name], getattr(model, name)) for name in model.openapi_types)
    return {name: _value(value) for name, value in values if value is not None}


def _value(value: Any) -> Any:
    if hasattr(value, "openapi_types"):
        return _serialized(value)
    if isinstance(value, list | tuple):
        return [_value(one) for one in value]
    if isinstance(value, dict):
        return {key: _value(one) for key, one in value.items()}
    return value.isoformat() if hasattr(value, "isoformat") else value


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
