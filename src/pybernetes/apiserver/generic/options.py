"""Options of the verbs and what lists answer (upstream: meta/v1 ListOptions, CreateOptions, ..., DeleteOptions)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from ..authentication.user import LOOPBACK, User
from .cache import Stored


@dataclass(slots=True)
class ListOptions:
    """As in the query; selectors are parsed by the store."""

    label_selector: str = ""
    field_selector: str = ""
    limit: int = 0
    continue_: str = ""
    resource_version: str = ""
    resource_version_match: str = ""
    timeout_seconds: int = 0
    allow_bookmarks: bool = False
    send_initial_events: bool | None = None

    @property
    def watches_list(self) -> bool:
        """Whether a watch is to tell what there is, and where that ends (upstream: isListWatchRequest)."""
        return bool(self.send_initial_events) and self.allow_bookmarks

    @property
    def selector_bytes(self) -> int:
        """How long the selectors are."""
        return len(self.label_selector) + len(self.field_selector)


@dataclass(slots=True)
class Learned:
    """What a write learns on its way, for the steps after and for the answer. A record of its own for each request."""

    warnings: list[str] = field(default_factory=list)  # what the client is to be told
    patch_problems: list[str] = field(default_factory=list)  # what only strictness minds in a patch
    reset_managed: bool = False  # the body says that nobody manages anything
    managed: list[dict[str, Any]] | None = None  # managedFields as an apply has worked them out
    size: int = 0  # bytes of the body, or of the object that it changes, whichever is more


@dataclass(frozen=True, slots=True)
class WriteOptions:
    """Of create, update and patch: what was asked for."""

    user: User = LOOPBACK
    dry_run: bool = False
    validation: Literal["Strict", "Warn", "Ignore"] = "Warn"
    admission: bool = True
    manager: str = "kube-apiserver"  # who manages the fields that are written
    managed_subresource: str = ""  # the subresource that the manager wrote through, where the store is not told of it
    given: Mapping[str, Any] = field(default_factory=dict)  # as the request has them, for admission
    learned: Learned = field(default_factory=Learned)

    @property
    def size(self) -> int:
        """Bytes of what is worked on."""
        return self.learned.size

    @property
    def warnings(self) -> list[str]:
        """What the client is to be told; grows."""
        return self.learned.warnings


@dataclass(slots=True)
class DeleteOptions:
    """Of delete and deletecollection."""

    user: User = LOOPBACK
    dry_run: bool = False
    grace_period_seconds: int | None = None
    uid: str | None = None  # "" is one that no object has
    resource_version: str | None = None
    propagation: str = ""  # "", Background, Foreground, Orphan
    cascades: bool = False  # said by orphanDependents, the older way
    admission: bool = True
    warnings: list[str] = field(default_factory=list)
    given: dict[str, Any] = field(default_factory=dict)  # as the request has them, for admission


@dataclass(slots=True)
class ListResult:
    """Objects in order of their keys, and the list's metadata."""

    items: list[Stored]
    revision: int
    continue_: str = ""
    remaining: int | None = None
