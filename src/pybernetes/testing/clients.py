"""The Python clients that are installed, ready to use with a cluster. None of them is imported before it is asked for."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from typing import Any, Protocol

from .arguments import WrongArgument


class Place(Protocol):
    """Where a client goes, and as whom."""

    url: str
    kubeconfig: str
    ca_file: str
    token: str
    namespace: str


def _kubernetes(place: Place) -> Any:
    return importlib.import_module("kubernetes.config").new_client_from_config(place.kubeconfig)


def _kubernetes_asyncio(place: Place) -> Any:
    """By the token: to read a kubeconfig takes this package a coroutine."""
    client = importlib.import_module("kubernetes_asyncio.client")
    configuration = client.Configuration(host=place.url)
    configuration.ssl_ca_cert = place.ca_file
    configuration.api_key["BearerToken"] = f"Bearer {place.token}"
    return client.ApiClient(configuration)


def _lightkube(name: str) -> Callable[[Place], Any]:
    def make(place: Place) -> Any:
        lightkube = importlib.import_module("lightkube")
        config = importlib.import_module("lightkube.config.kubeconfig").KubeConfig.from_file(place.kubeconfig)
        return getattr(lightkube, name)(config=config, namespace=place.namespace, field_manager="test", trust_env=False)

    return make


def _kr8s(module: str) -> Callable[[Place], Any]:
    return lambda place: importlib.import_module(module).api(kubeconfig=place.kubeconfig, namespace=place.namespace)


# What is made, in the order in which the first that is installed is taken.
CLIENTS = {"kubernetes": _kubernetes, "lightkube": _lightkube("Client"), "kr8s": _kr8s("kr8s")}
ASYNC_CLIENTS = {
    "kubernetes_asyncio": _kubernetes_asyncio,
    "lightkube": _lightkube("AsyncClient"),
    "kr8s": _kr8s("kr8s.asyncio"),
}


def make(place: Place, library: str, makers: dict[str, Callable[[Place], Any]]) -> Any:
    """A client of the library, of the first that is installed where it is "". WrongArgument."""
    installed = [name for name in makers if importlib.util.find_spec(name) is not None]
    if library and library not in makers:
        elsewhere = "" if library not in ASYNC_CLIENTS else "; async_client() has it"
        raise WrongArgument(f"client({library!r}): there is {', '.join(makers)}{elsewhere}")
    if library and library not in installed:
        raise WrongArgument(f"client({library!r}): it is not installed: pip install {library.replace('_', '-')}")
    if not installed:
        raise WrongArgument(f"client(): none of {', '.join(makers)} is installed")
    return makers[library or installed[0]](place)


class Clients:
    """Those that were made, to be closed with their cluster: what they leave open would warn in somebody else's test."""

    def __init__(self) -> None:
        self._made: list[Any] = []

    def keep(self, client: Any) -> Any:
        """The client."""
        self._made.append(client)
        return client

    def close(self) -> None:
        """All of them; lightkube and kr8s keep their connections in clients of httpx, and have no end of their own."""
        for client in self._made:
            kept: tuple[Any, ...] = (client, getattr(getattr(client, "_client", None), "_client", None))
            for one in kept:
                if callable(getattr(one, "close", None)):
                    one.close()
            if (
                getattr(client, "_session", None) is not None
            ):  # kr8s's, on a loop that all its synchronous clients share
                importlib.import_module("kr8s._async_utils").as_sync_func(client._session.aclose)()
        self._made.clear()
