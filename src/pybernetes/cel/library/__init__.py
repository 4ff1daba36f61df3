"""The functions of Kubernetes' CEL, a module for each of upstream's libraries (apiserver/pkg/cel/environment/base.go).

Each has `overloads()`. `ALL` is what a server of this version has: 1.37 knows no math, no encoders and no cel.bind.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from .. import operators
from ..functions import Overload
from . import (
    authorizer,
    formats,
    lists,
    network,
    optionals,
    quantities,
    regexps,
    semvers,
    sets,
    standard,
    strings,
    urls,
)

ALL: tuple[Callable[[], Iterator[Overload]], ...] = (
    operators.overloads,
    standard.overloads,
    strings.overloads,
    lists.overloads,
    sets.overloads,
    optionals.overloads,
    regexps.overloads,
    urls.overloads,
    quantities.overloads,
    network.overloads,
    formats.overloads,
    semvers.overloads,
    authorizer.overloads,
)
