"""What the selectors of a list or a watch let through (upstream: apiserver/pkg/storage SelectionPredicate)."""

from __future__ import annotations

from pybernetes.api import errors
from pybernetes.api.fieldselectors import FieldSelector, parse_field_selector
from pybernetes.api.labels import Operator, Selector, SelectorError, parse_selector

from ..resource import Object, Resource
from .cache import Seen, Stored
from .options import ListOptions


class Selection:
    """A predicate over stored objects in the version of their resource."""

    def __init__(self, resource: Resource, labels: Selector | None, fields: FieldSelector | None) -> None:
        self._resource, self._labels, self._fields = resource, labels, fields

    def seen(self, stored: Stored) -> Seen:
        """Labels and fields; kept with the object."""
        return stored.seen(self._look)

    def _look(self, obj: Object) -> Seen:
        return obj["metadata"].get("labels") or {}, fields_of(self._resource, obj)

    def __call__(self, stored: Stored) -> bool:
        labels, fields = self.seen(stored)
        if self._labels is not None and not self._labels.matches(labels):
            return False
        return self._fields is None or self._fields.matches(fields)

    @property
    def trigger(self) -> tuple[str, str] | None:
        """A (field, value) that every selected object has: watchers with one are woken by such objects only."""
        if self._fields is None:
            return None
        equal = [r for r in self._fields.requirements if r.operator is Operator.EQUALS]
        return (equal[0].field, equal[0].value) if equal else None


def selector_predicate(resource: Resource, options: ListOptions) -> Selection | None:
    """None: everything. StatusError 400 for selectors that cannot be."""
    try:
        labels = parse_selector(options.label_selector) if options.label_selector else None
        fields = parse_field_selector(options.field_selector) if options.field_selector else None
    except SelectorError as error:
        raise errors.bad_request(str(error)) from None
    selectable = {"metadata.name", *resource.selectable_fields}
    if resource.namespaced or not (resource.selectable_fields or resource.unstructured):
        selectable.add("metadata.namespace")  # kinds that say what one may select by leave it out where there is none
    for requirement in fields.requirements if fields else ():
        if requirement.field not in selectable:
            raise errors.bad_request(_unknown_field(resource, requirement.field))
    return Selection(resource, labels, fields) if labels is not None or fields is not None else None


def fields_of(resource: Resource, obj: Object) -> dict[str, str]:
    """What field selectors see of an object."""
    metadata = obj["metadata"]
    fields = {"metadata.name": metadata["name"], "metadata.namespace": metadata.get("namespace", "")}
    return {**fields, **resource.selectable(obj)} if resource.selectable_fields else fields


def _unknown_field(resource: Resource, name: str) -> str:
    if resource.unselectable:
        return resource.unselectable.format(name)
    if resource.selectable_fields or resource.unstructured:
        return f"field label not supported: {name}"
    return f'"{name}" is not a known field selector: only "metadata.name", "metadata.namespace"'
