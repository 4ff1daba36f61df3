"""Columns: numpy's where it is installed (the extra `scheduler`), else as lists of Python, which do for a test's few nodes.

Whoever computes over columns imports `np` from here and uses no more of it than `listarrays` has.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Ints = npt.NDArray[np.int64]
    Floats = npt.NDArray[np.float64]
    Bools = npt.NDArray[np.bool_]
else:
    try:
        import numpy as np
    except ModuleNotFoundError as error:
        if error.name != "numpy":  # it is there, and something that it needs is not
            raise
        from . import listarrays as np
    Ints = Floats = Bools = np.ndarray

__all__ = ["MANY_NODES", "VECTORIZED", "Bools", "Floats", "Ints", "np"]

VECTORIZED = np.__name__ == "numpy"
MANY_NODES = (
    500  # to place a pod takes lists as long as numpy with 300 nodes, twice as long with 1,000, five times with 3,000
)
