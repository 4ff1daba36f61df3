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
    """`where` is `module:function` below this package: the function opens a Location. `form` is shown to users, "" where it is none of
    theirs; `extra` is what must be installed with pybernetes."""

    schemes: tuple[str, ...]
    form: str
    where: str
    extra: str = ""

    def load(self) -> Opener:
        """The function. LocationError where a package is missing."""
        module, _, name = self.where.partition(":")
        try:
            opener: Opener = getattr(importlib.import_module(f"{__package__}.{module}"), name)
        except ModuleNotFoundError as error:
            if not self.extra:
                raise
            raise LocationError(
                f"the package {error.name} is needed: pip install 'pybernetes[{self.extra}]'"
            ) from error
        return opener


BACKENDS = (
    Backend(("sqlite",), "sqlite:PATH", "sqlite:open_file"),
    Backend(("memory",), "memory:", "memory:open_memory"),
    Backend(("http", "https"), "http://HOST:PORT of etcd", "etcd.store:open_etcd", extra="etcd"),
    Backend(("shared",), "", "shared.client:open_shared"),  # of a server's own workers
)


def backend(location: Location) -> Backend:
    """That of the URLs' scheme. LocationError."""
    schemes = {url.partition(":")[0] if ":" in url else "" for url in location.urls}
    for one in BACKENDS:
        if schemes and schemes <= set(one.schemes):
            return one
    raise LocationError(f"want {' or '.join(one.form for one in BACKENDS if one.form)}")


async def open_store(location: Location) -> Store:
    """Opens it; who opens it closes it. LocationError for what is no place, StoreError for one that cannot be had."""
    return await backend(location).load()(location)
