"""/healthz and /readyz (upstream: mustRunHealthz in main.go)."""

from __future__ import annotations

from collections.abc import Callable

from pybernetes.component.serving import Route, text
from pybernetes.wire.http import Request, Response


def routes(ready: Callable[[], bool]) -> dict[str, Route]:
    """Healthy is who runs; ready, who has written the rules and the subnet file."""

    async def healthz(request: Request) -> Response:
        return text(200, "flanneld is running")

    async def readyz(request: Request) -> Response:
        return text(200, "flanneld is ready") if ready() else text(503, "flanneld is not ready yet")

    return {"/healthz": healthz, "/readyz": readyz}
