"""Which autoscalers select the pods of which labels (upstream: pkg/controller/util/selectors/bimultimap.go)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pybernetes.api import labels

from ..common import Key

MAX_LABELS = 10_000  # different labels of pods that are remembered for a namespace; then all are forgotten

LabelSet = frozenset[tuple[str, str]]


class Selectors:
    """Of the targets of the autoscalers that were looked at. Pods of one workload have the same labels as a rule: each selector is asked
    of them once, and not again at each sync."""

    def __init__(self) -> None:
        self._texts: dict[Key, str] = {}
        self._by_namespace: dict[str, dict[Key, labels.Selector]] = {}
        self._matching: dict[str, dict[LabelSet, set[Key]]] = {}

    def put(self, key: Key, text: str) -> None:
        """The selector of an autoscaler's target as it is now; ValueError for one that cannot be read."""
        if self._texts.get(key) == text:
            return
        selector = labels.parse_selector(text)
        self._texts[key] = text
        self._by_namespace.setdefault(key[0], {})[key] = selector
        for of, keys in self._matching.get(key[0], {}).items():
            if selector.matches(dict(of)):
                keys.add(key)
            else:
                keys.discard(key)

    def remove(self, key: Key) -> None:
        """An autoscaler that is gone."""
        if self._texts.pop(key, None) is None:
            return
        self._by_namespace[key[0]].pop(key)
        if not self._by_namespace[key[0]]:
            del self._by_namespace[key[0]]
            self._matching.pop(key[0], None)
        for keys in self._matching.get(key[0], {}).values():
            keys.discard(key)

    def sharing(self, namespace: str, pods: Iterable[Mapping[str, str]]) -> set[Key]:
        """The autoscalers that select any of the pods, by their labels."""
        of_namespace, sharing = self._matching.setdefault(namespace, {}), set[Key]()
        for of in {frozenset(pod.items()) for pod in pods}:
            keys = of_namespace.get(of)
            if keys is None:
                if len(of_namespace) >= MAX_LABELS:
                    of_namespace.clear()
                selectors = self._by_namespace.get(namespace, {})
                keys = of_namespace[of] = {key for key, selector in selectors.items() if selector.matches(dict(of))}
            sharing |= keys
        return sharing
