"""What the API server knows of a kind: one record, filled by a module of `kinds/` (or later by a CustomResourceDefinition).

Objects are plain dicts in the shape of their JSON, already decoded strictly against the schema: unknown fields are gone, types
are right, quantities canonical, zero values as Go writes them. Hooks change dicts in place and are pure: `now`, generated names
and addresses come from elsewhere. Upstream: pkg/apis/GROUP/{v1/defaults.go,validation}, pkg/registry/GROUP/KIND/strategy.go,
pkg/printers/internalversion.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from pybernetes.api.field import FieldError

from .authentication.user import User

if TYPE_CHECKING:
    from .conversion import Conversions

Object = dict[str, Any]
Errors = list[FieldError]

VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")


@dataclass(frozen=True, slots=True)
class Column:
    """A column of `kubectl get`; priority 1 shows with -o wide. Name, Age and the like are given by each kind itself."""

    name: str
    type: str = "string"
    format: str = ""
    description: str = ""
    priority: int = 0


def _nothing(obj: Object) -> None:
    """No defaults."""


def _no_errors(obj: Object) -> Errors:
    return []


def _no_update_errors(new: Object, old: Object) -> Errors:
    return []


def _prepare_nothing(new: Object, old: Object) -> None:
    """Nothing to keep."""


def _no_fields(obj: Object) -> Mapping[str, str]:
    return {}


def _no_warnings(new: Object, old: Object | None) -> Sequence[str]:
    return ()


def _nothing_against(obj: Object) -> str:
    return ""


def _never(obj: Object) -> bool:
    return False


@dataclass(frozen=True, slots=True)
class Part:
    """A subresource that reads and writes the whole object by rules of its own (upstream: a second store with another strategy)."""

    prepare: Callable[[Object, Object], None]  # (new, old): keeps all that this way may not change
    validate: Callable[[Object, Object], Errors]
    verbs: Sequence[str] = ("get", "patch", "update")


@dataclass(frozen=True, slots=True)
class Stamp:
    """What hooks cannot know by themselves: who writes, when, and through which subresource."""

    user: User
    now: datetime
    subresource: str = ""


@dataclass(frozen=True, kw_only=True)
class Resource:
    """One resource of one group-version. The registry adds what all kinds have in common: see the fields' notes."""

    group: str
    version: str
    name: str  # plural, as in the path
    kind: str
    singular: str = ""  # default: kind in lower case
    namespaced: bool = True
    short_names: Sequence[str] = ()
    categories: Sequence[str] = ()
    verbs: Sequence[str] = VERBS  # ("create",) alone for what is never stored
    ends: bool = False  # its definition is being deleted: nothing is created any more, and all that there is goes
    # The group that refusals of invalid objects name, where upstream's is another (its type is registered in two groups).
    refused_as: str | None = None
    schema: str = ""  # name in api/data/definitions.json, e.g. io.k8s.api.core.v1.Pod
    # Without a type, as what a CustomResourceDefinition makes (upstream: unstructured.Unstructured): a body names its kind, no strategic
    # merge, lists hide no empty field and their items repeat their type, and other words where upstream's come from the type.
    unstructured: bool = False
    compile: Callable[[], Any] | None = None  # makes what takes the place of `schema.CompiledSchema`
    list_kind_name: str = ""  # default: kind and List
    known_finalizers: bool = True  # finalizers without a domain must be the garbage collector's
    # Of a kind that several versions serve: how they become each other. None: objects are stored as they are.
    conversions: Conversions | None = None

    # Names: the check of metadata.name; "subdomain" and "label" are DNS-1123, "label1035" DNS-1035, "path" path segments (RBAC).
    name_check: Literal["subdomain", "label", "label1035", "path"] | Callable[[str], list[str]] = "subdomain"
    default: Callable[[Object], None] = (
        _nothing  # after decoding, also for stored objects when read; must be idempotent
    )
    prepare_create: Callable[[Object], None] = _nothing  # after defaults: clears status, sets initial phase
    prepare_update: Callable[[Object, Object], None] = (
        _prepare_nothing  # (new, old): keeps status, what may not change silently
    )
    prepare_status: Callable[[Object, Object], None] | None = (
        None  # (new, old) of PUT .../status; None: everything but status and metadata's managed fields is kept
    )
    meta_again: int = 0  # how often the kind's checks of an update look at metadata as on creation
    generation: bool = True  # metadata.generation: 1 at creation, +1 when anything but metadata and status changes
    counts_annotations: bool = False  # metadata.generation grows with a change of annotations, too
    validate: Callable[[Object], Errors] = _no_errors  # on create, beyond metadata (the registry checks that)
    validate_update: Callable[[Object, Object], Errors] = (
        _no_update_errors  # (new, old); must itself call validate where upstream does
    )
    validate_status: Callable[[Object, Object], Errors] = _no_update_errors
    # (new, old or None at creation) of a valid object: what is odd, for the header Warning. Not asked for subresources.
    warnings: Callable[[Object, Object | None], Sequence[str]] = _no_warnings
    deprecated: str = ""  # told to everyone who uses the resource
    allow_create_on_update: bool = False  # PUT makes what is not there (Lease, Endpoints, ...)
    allow_unconditional_update: bool = True  # PUT without resourceVersion overwrites

    # (new, old or None at creation, stamp): what depends on who writes and when; after prepare_*, before validation.
    stamp: Callable[[Object, Object | None, Stamp], None] | None = None

    status: bool = False  # has the subresource status
    scale: ScalePaths | None = None
    scale_version: str = "autoscaling/v1"  # of the Scale; the first group-versions of workloads had Scales of their own
    parts: Mapping[str, Part] = field(default_factory=dict)  # further parts of the object, written as status is
    unchecked: Sequence[str] = ()  # subresources whose handlers check and write as nobody's, e.g. a pod's binding
    # Names of all but status and scale, for discovery; routes.py answers those that are no part.
    subresources: Sequence[str] = ()

    selectable: Callable[[Object], Mapping[str, str]] = (
        _no_fields  # field selectors beyond metadata.name and .namespace
    )
    selectable_fields: Sequence[str] = ()  # the names that `selectable` gives
    unselectable: str = ""  # the words for another field, which is {}; "": those of most kinds
    columns: Sequence[Column] = ()  # default: Name, Created At (the API server's generic table)
    row: Callable[[Object, datetime], list[Any]] | None = None  # cells in the order of `columns`
    row_conditions: Callable[[Object], list[dict[str, str]]] | None = None  # of a table's row: that a pod is done

    # Graceful deletion: seconds left to the one who must finish it, 0 for at once, from the object and the asked period (None: not asked).
    graceful: Callable[[Object, int | None], int] | None = None
    refuse_delete: Callable[[Object], str] = _nothing_against  # why it may never be deleted; "": it may
    # (object, now as metav1.Time) when its deletion is first asked for: finalizers and conditions that it gets then.
    deleting: Callable[[Object, str], None] | None = None
    # Whether more than metadata's finalizers holds an object whose deletion is asked for.
    held: Callable[[Object], bool] = _never
    own_deletion: bool = False  # upstream's storage of the kind deletes by itself, and has words of its own
    returns_deleted: bool = (
        False  # a deletion is answered with the object, not a Status (upstream: ReturnDeletedObject)
    )
    # What becomes of dependents where nobody says; unsupported: nobody can say.
    default_propagation: Literal["background", "orphan", "unsupported"] = "background"

    _cache: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @functools.cached_property
    def api_version(self) -> str:
        """`v1`, `apps/v1`."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def invalid_group(self) -> str:
        """See `refused_as`."""
        return self.group if self.refused_as is None else self.refused_as

    @property
    def list_kind(self) -> str:
        """`PodList`."""
        return self.list_kind_name or f"{self.kind}List"

    @property
    def uncounted(self) -> tuple[str, ...]:
        """Fields whose changes make no new generation; a custom resource without a subresource has its status like others."""
        return ("metadata",) if self.unstructured and not self.status else ("metadata", "status")

    @property
    def stored_at(self) -> tuple[str, str, str]:
        """(group, resource, version) of the stored form."""
        if self.conversions is None:
            return self.group, self.name, self.version
        group, _, version = self.conversions.hub.rpartition("/")
        return group, self.name, version


@dataclass(frozen=True, slots=True)
class ScalePaths:
    """Where autoscaling/v1 Scale finds its numbers, as field names below the object."""

    spec_replicas: tuple[str, ...] = ("spec", "replicas")
    status_replicas: tuple[str, ...] = ("status", "replicas")
    selector: tuple[str, ...] = ("spec", "selector")  # a LabelSelector, or a plain map
