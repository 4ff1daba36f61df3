"""A `types.Reader` over a dict, and users, for tests of what reads objects."""

from collections.abc import Coroutine, Iterable, Iterator
from typing import Any, TypeVar

from pybernetes.apiserver.authentication.user import User
from pybernetes.apiserver.types import RequestInfo

Object = dict[str, Any]
T = TypeVar("T")


class Objects:
    """(group, resource, object) each."""

    def __init__(self, *objects: tuple[str, str, Object]) -> None:
        self._objects: dict[tuple[str, str, str, str], Object] = {}
        self._changed: dict[tuple[str, str], int] = {}
        for group, resource, obj in objects:
            self.put(group, resource, obj)

    def put(self, group: str, resource: str, obj: Object) -> None:
        """Adds or replaces."""
        metadata = obj["metadata"]
        self._objects[group, resource, metadata.get("namespace", ""), metadata["name"]] = obj
        self._changed[group, resource] = self.changed(group, resource) + 1

    def drop(self, group: str, resource: str, namespace: str, name: str) -> None:
        """Deletes."""
        del self._objects[group, resource, namespace, name]
        self._changed[group, resource] = self.changed(group, resource) + 1

    def get(self, group: str, resource: str, namespace: str, name: str) -> Object | None:
        return self._objects.get((group, resource, namespace, name))

    def list(self, group: str, resource: str, namespace: str = "") -> Iterable[Object]:
        return [o for (g, r, n, _), o in self._objects.items() if (g, r) == (group, resource) and namespace in ("", n)]

    async def fresh(self, group: str, resource: str, namespace: str, name: str) -> Object | None:
        return self.get(group, resource, namespace, name)

    def changed(self, group: str, resource: str) -> int:
        return self._changed.get((group, resource), 0)


def meta(name: str, namespace: str = "", **more: Any) -> Object:
    """ObjectMeta."""
    return {"name": name, **({"namespace": namespace} if namespace else {}), **more}


def user(name: str, *groups: str) -> User:
    """One who is authenticated."""
    return User(name, (*groups, "system:authenticated"))


def ask(verb: str, resource: str, namespace: str = "", name: str = "", group: str = "", **more: str) -> RequestInfo:
    """A question about a resource; `pods/log` has a subresource."""
    plural, _, subresource = resource.partition("/")
    return RequestInfo(
        verb,
        "",
        is_resource=True,
        group=group,
        version="v1",
        resource=plural,
        subresource=subresource,
        namespace=namespace,
        name=name,
        **more,
    )


def answered(asked: Coroutine[Any, Any, T]) -> T:
    """What a coroutine returns that never waits; AssertionError for one that does."""
    try:
        asked.send(None)
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return]  # it is what the coroutine returns
    asked.close()
    raise AssertionError("it waits")


def awaited(result: Any) -> None:
    """Runs what a plug-in may answer: nothing, or an awaitable that never really waits."""
    if result is not None:
        steps: Iterator[Any] = result.__await__()
        for _ in steps:
            pass
