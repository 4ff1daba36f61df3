"""ImageLocality: nodes that have the pod's images, the more bytes the better (upstream: plugins/imagelocality)."""

from __future__ import annotations

from ..framework.interface import MAX_SCORE, Cycle, Depends, Plugin
from ..model.arrays import Ints, np
from ..model.table import Rows

MEBIBYTE = 1024 * 1024
LEAST = 23 * MEBIBYTE  # below it images count nothing
MOST = 1000 * MEBIBYTE  # of each container: above it nothing more


def normalized(image: str) -> str:
    """The image's name as nodes tell of it: with `:latest` where it has neither tag nor digest."""
    return image if image.rfind(":") > image.rfind("/") else f"{image}:latest"


class ImageLocality(Plugin):
    """An image counts by its size, and by the share of nodes that have it, so that pods do not crowd on the first."""

    name = "ImageLocality"
    weight = 1
    scores = Depends.NODES

    def score(self, cycle: Cycle, rows: Rows) -> Ints | None:
        table, spec = cycle.table, cycle.info.shape.spec
        images = [c.image for c in (*spec.init_containers, *spec.containers)]
        present = [holders for image in images if (holders := table.images.get(normalized(image)))]
        if not present:
            return np.zeros(len(table.present[rows]), np.int64)
        total = np.zeros(table.used, np.int64)
        for holders in present:
            spread = len(holders) / len(table)
            for row, size in holders.items():
                total[row] += int(size * spread)
        most = MOST * len(images)
        sums = np.clip(total[rows], LEAST, most)
        return MAX_SCORE * (sums - LEAST) // (most - LEAST)
