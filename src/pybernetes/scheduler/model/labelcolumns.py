"""Node labels as integer columns: a requirement is decided once a distinct value, not once a node."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pybernetes.api.labels import Operator, Requirement

from .arrays import Bools, Ints, np
from .selectors import NodeTerm

ABSENT = -1
SPARE_VALUES = 2  # values that are known for each row, in use or not, before those of no use are forgotten
_ONE = (Operator.IN, Operator.EQUALS, Operator.DOUBLE_EQUALS)
_NONE = (Operator.NOT_IN, Operator.NOT_EQUALS)


class LabelColumn:
    """A label key: `codes` has for each row the index of its value, ABSENT where the node lacks the key (or the row is free)."""

    def __init__(self, rows: int) -> None:
        self.codes: Ints = np.full(rows, ABSENT, np.int64)
        self.index: dict[str, int] = {}

    def set(self, row: int, value: str | None) -> None:
        """The row's value, None where its node lacks the key."""
        self.codes[row] = ABSENT if value is None else self.index.setdefault(value, len(self.index))
        if len(self.index) > SPARE_VALUES * len(self.codes):
            self._forget()

    def _forget(self) -> None:
        """Values that no row has any more go: a label that says something new each minute would be kept for ever."""
        values = {code: value for value, code in self.index.items()}
        former, self.index = self.codes.copy(), {}
        for code in np.unique(former[former != ABSENT]):
            self.codes[former == code] = self.index.setdefault(values[int(code)], len(self.index))

    def grow(self, rows: int) -> None:
        """Makes room for so many rows."""
        codes = np.full(rows, ABSENT, np.int64)
        codes[: len(self.codes)] = self.codes
        self.codes = codes

    def meets(self, requirement: Requirement) -> Bools:
        """For each code whether the requirement holds; the last entry is for ABSENT, so that codes index it directly."""
        operator, values = requirement.operator, requirement.values
        negative = operator in _NONE or operator is Operator.DOES_NOT_EXIST
        table = np.full(len(self.index) + 1, negative, np.bool_)
        if operator in _ONE or operator in _NONE:
            for value in values:
                code = self.index.get(value)
                if code is not None:
                    table[code] = not negative
        elif operator is Operator.EXISTS or operator is Operator.DOES_NOT_EXIST:
            table[:-1] = not negative
        else:
            for value, code in self.index.items():
                table[code] = requirement.matches({requirement.key: value})
        return table


class LabelColumns:
    """Columns by label key, made when first asked for. `labels` are the rows' labels, None for free rows."""

    def __init__(self) -> None:
        self._columns: dict[str, LabelColumn] = {}
        self._names = LabelColumn(0)
        self._rows = 0

    def grow(self, rows: int) -> None:
        """Makes room for so many rows."""
        self._rows = rows
        for column in (*self._columns.values(), self._names):
            column.grow(rows)

    def update(self, row: int, name: str | None, labels: Mapping[str, str]) -> None:
        """A row's node has changed, or is gone (None)."""
        self._names.set(row, name)
        for key, column in self._columns.items():
            column.set(row, labels.get(key))

    def column(self, key: str, labels: Sequence[Mapping[str, str] | None]) -> LabelColumn:
        """The column of a key, made of `labels` (by row) when it is first asked for, and kept up to date from then on."""
        column = self._columns.get(key)
        if column is None:
            column = self._columns[key] = LabelColumn(self._rows)
            for row, own in enumerate(labels):
                if own is not None and key in own:
                    column.set(row, own[key])
        return column

    def match_term(self, term: NodeTerm, labels: Sequence[Mapping[str, str] | None], rows: slice | Ints) -> Bools:
        """Which of the rows meet all requirements of a term."""
        mask: Bools | None = None
        for requirement in term.labels:
            column = self.column(requirement.key, labels)
            met = column.meets(requirement)[column.codes[rows]]
            mask = met if mask is None else mask & met
        for requirement in term.names:
            met = self._names.meets(requirement)[self._names.codes[rows]]
            mask = met if mask is None else mask & met
        if mask is None:
            raise ValueError("an empty term meets no node; node_terms() leaves it out")
        return mask

    def match_any(
        self, terms: Sequence[NodeTerm], labels: Sequence[Mapping[str, str] | None], rows: slice | Ints
    ) -> Bools:
        """Which of the rows meet one of the terms."""
        mask: Bools = np.zeros(len(self._names.codes[rows]), np.bool_)
        for term in terms:
            mask |= self.match_term(term, labels, rows)
        return mask
