"""Keeps metadata.managedFields of one resource through all writes (upstream: endpoints/handlers/fieldmanager)."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime
from typing import Any

from pybernetes.api import errors, gosyntax

from ..apply import fieldmanager, typed
from ..apply.fieldmanager import Conflicts, Context
from ..apply.schema import Node
from ..resource import Object, Resource
from ..schema import CompiledSchema
from .options import WriteOptions
from .typemeta import definition_of

_log = logging.getLogger(__name__)


class FieldTracker:
    """What one resource's writes make of metadata.managedFields. Objects are in the resource's version."""

    def __init__(self, resource: Resource, schema: Callable[[], CompiledSchema], now: Callable[[], datetime]) -> None:
        self._resource, self._schema, self._now = resource, schema, now

    def _context(self, subresource: str) -> Context:
        schema = self._schema()
        ignored: tuple[str, ...] = ()
        if subresource == "status":
            ignored = tuple(name for name in schema.top_fields if name not in ("metadata", "status"))
        elif not subresource and self._resource.status:
            ignored = ("status",)
        api_version, conversions = self._resource.api_version, self._resource.conversions
        return Context(schema.apply_node, api_version, schema.zero, ignored, self._now(), conversions)

    async def created(self, obj: Object, options: WriteOptions) -> None:
        """Notes who made the object, in it."""
        metadata = obj["metadata"]
        entries = options.learned.managed
        if entries is None:
            try:
                entries = await fieldmanager.created(self._context(""), obj, options.manager)
            except (typed.TypedError, errors.StatusError) as error:
                _log.debug("fields of a new %s are not tracked: %s", self._resource.kind, error)
                entries = []
        metadata.pop("managedFields", None)
        if entries:
            metadata["managedFields"] = entries

    async def updated(self, old: Object, new: Object, options: WriteOptions, subresource: str) -> list[dict[str, Any]]:
        """What managedFields shall be after the write."""
        before: list[dict[str, Any]] = old["metadata"].get("managedFields") or []
        if options.learned.managed is not None:
            return options.learned.managed
        if subresource in self._resource.unchecked:
            return before
        tracked = options.managed_subresource or subresource
        try:
            return await fieldmanager.updated(
                self._context(subresource), old, new, options.manager, tracked, options.learned.reset_managed
            )
        except typed.TypedError as error:
            _log.debug("fields of a changed %s are not tracked: %s", self._resource.kind, error)
            return before
        except errors.StatusError as error:  # of a conversion: upstream keeps none rather than wrong ones
            _log.warning("fields of a changed %s are managed by nobody any more: %s", self._resource.kind, error)
            return []

    async def applied(
        self, live: Object | None, config: Object, options: WriteOptions, subresource: str, force: bool
    ) -> Object:
        """The object as an apply wants it, with its managedFields. StatusError 409 for what others manage, 500 for what does not fit."""
        context = self._context(subresource)
        kind = config.get("kind") or ""
        metadata = config["metadata"] if isinstance(config.get("metadata"), dict) else {}
        where = f"{metadata.get('namespace', '')}/{metadata.get('name', '')}"
        what = f"{self._resource.api_version}, Kind={kind}"
        what = what if self._resource.group else f"/{what}"
        if kind != self._resource.kind:
            raise self._another_kind(kind, where, what)
        check_types(config, context.node, f"{where}; {what}")
        try:
            new, entries = await fieldmanager.applied(
                context,
                live or context.zero,
                config,
                options.manager,
                options.managed_subresource or subresource,
                force,
                live is not None,
            )
        except Conflicts as conflicts:
            raise _refused(conflicts) from None
        except typed.TypedError as error:
            raise errors.unclassified(f"failed to compare objects: {error}") from None
        except RecursionError:
            raise _too_deep() from None
        options.learned.managed = entries
        return new if new is not None else dict(live or context.zero)

    def _another_kind(self, kind: str, where: str, what: str) -> errors.StatusError:
        """500, as upstream's merge finds it: late, and without a reason."""
        own = self._resource
        other = "" if own.unstructured else definition_of(own.api_version, kind)
        if other:
            types = f"expected objects of the same type, but got {own.schema} and {other}"
            return errors.unclassified(f"failed to merge config: {types}")
        text = f"failed to create typed patch object ({where}; {what}): no corresponding type for {what}"
        return errors.unclassified(text)


def check_types(config: Object, node: Node, what: str) -> None:
    """StatusError 500 where an applied configuration has values of other types than its kind; `what` names the object."""
    try:
        problems = typed.check(config, node)
    except RecursionError:
        raise _too_deep() from None
    if problems:
        listed = problems[0] if len(problems) == 1 else "errors:\n" + "\n".join(f"  {p}" for p in problems)
        raise errors.unclassified(f"failed to create typed patch object ({what}): {listed}")


def _refused(conflicts: Conflicts) -> errors.StatusError:
    status = errors.conflict("", "", "", "").status
    return errors.StatusError({**status, "message": str(conflicts), "details": {"causes": conflicts.causes()}})


def _too_deep() -> errors.StatusError:
    """Upstream bears ten thousand levels, an interpreter's stack some hundred."""
    return errors.bad_request(f"error decoding YAML: {gosyntax.TOO_DEEP}")
