"""What upstream's router refuses before anybody is asked: go-restful v3's jsr311.go (detectRoute) and route.go. Pure.

Built-in resources, /version and discovery are routes of it; custom resources, health, metrics and OpenAPI are not.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from pybernetes.api import errors
from pybernetes.wire.http import Request

UNTYPED = "application/octet-stream"  # a body of which nobody says what it is
ANYTHING = "*/*"
WRITES = ("POST", "PUT", "PATCH")


def check(request: Request, produced: Collection[str], consumed: Collection[str] = ()) -> None:
    """StatusError 406 where none of the media types that a route gives is accepted, 415 for a body that it does not take.

    `consumed` (): it takes any. Parameters and quality count for nothing, and of the wildcards only that of everything.
    """
    taken = not consumed or _names(request.header("content-type") or UNTYPED, consumed)
    if not taken and request.body:
        raise errors.generic(415, "", "", "", "", "415: Unsupported Media Type")
    accept = request.header("accept") or ANYTHING
    if taken and (accept == ANYTHING or _names(accept, produced) or ANYTHING in _media(accept)):
        return
    why = "415: Unsupported Media Type" if request.method in WRITES and not request.body else "406: Not Acceptable"
    available = ", ".join(produced if taken else ())
    raise errors.generic(int(why[:3]), "", "", "", "", f"{why}\n\nAvailable representations: {available}")


def _names(header: str, media: Collection[str]) -> bool:
    """Whether one of the header's clauses is among them; nearly always it is the only one."""
    return header in media or any(clause in media for clause in _media(header))


def _media(header: str) -> Iterator[str]:
    return (clause.partition(";")[0].strip() for clause in header.split(","))
