"""JSON values as Go's fmt prints them, for texts that are upstream's."""

from __future__ import annotations

from typing import Any

from .field import quote


def go_value(value: Any) -> str:
    """A JSON value as Go prints it with %v: `map[a:1 b:[x y]]`."""
    if isinstance(value, dict):
        return f"map[{' '.join(f'{key}:{go_value(value[key])}' for key in sorted(value))}]"
    if isinstance(value, list):
        return f"[{' '.join(map(go_value, value))}]"
    if value is None:
        return "<nil>"
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e21:
        return str(int(value))
    return str(value).lower() if isinstance(value, bool) else str(value)


def go_string(value: Any) -> str:
    """A JSON value as Go prints it with %s, which is for texts: `%!s(int64=1)`."""
    if value is None:
        return "%!s(<nil>)"
    return f"%!s({go_type(value)}={go_value(value)})" if isinstance(value, bool | int | float) else go_value(value)


def go_syntax(value: Any) -> str:
    """A JSON value as Go prints it with %#v: `map[string]interface {}{"a":1}`."""
    if isinstance(value, dict):
        return f"map[string]interface {{}}{{{', '.join(f'{quote(k)}:{go_syntax(value[k])}' for k in sorted(value))}}}"
    if isinstance(value, list):
        return f"[]interface {{}}{{{', '.join(map(go_syntax, value))}}}"
    if value is None:
        return "interface {}(nil)"
    return quote(value) if isinstance(value, str) else go_value(value)


_GO_TYPES = (
    (bool, "bool"),
    (str, "string"),
    (int, "int64"),
    (float, "float64"),
    (list, "[]interface {}"),
    (dict, "map[string]interface {}"),
)


def go_type(value: Any) -> str:
    """The type that Go prints with %T for a JSON value that is read without a schema."""
    return next((name for kind, name in _GO_TYPES if isinstance(value, kind)), "<nil>")
