"""The backends, chosen by the scheme of a URL. Each is loaded only where it is used."""

from __future__ import annotations

import importlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from .types import Store


@dataclass(frozen=True, slots=True)
class Location:
    """Where a store is: one URL, or the endpoints of one store; and the files (PEM) with which it is called over TLS."""

    urls: tuple[str, ...]
    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""


class LocationError(ValueError):
    """No store can be there; says what is wanted."""


Opener = Callable[[Location], Awaitable[Store]]


@dataclass(frozen=True, slots=True)
class Backend:
    """`where` is `module:function` below this package: the function opens a Location. `form` is shown to users."""

    schemes: tuple[str, ...]
    form: str
    where: str

    def load(self) -> Opener:
        """The function."""
        module, _, name = self.where.partition(":")
        opener: Opener = getattr(importlib.import_module(f"{__package__}.{module}"), name)
        return opener


BACKENDS = (
    Backend(("sqlite",), "sqlite:PATH", "sqlite:open_file"),
    Backend(("memory",), "memory:", "memory:open_memory"),
)


def backend(location: Location) -> Backend:
    """That of the URLs' scheme. LocationError."""
    schemes = {url.partition(":")[0] if ":" in url else "" for url in location.urls}
    for one in BACKENDS:
        if schemes and schemes <= set(one.schemes):
            return one
    raise LocationError(f"want {' or '.join(one.form for one in BACKENDS)}")


async def open_store(location: Location) -> Store:
    """Opens it; who opens it closes it. LocationError for what is no place, StoreError for one that cannot be had."""
    return await backend(location).load()(location)
