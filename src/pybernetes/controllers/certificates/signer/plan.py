"""How long a certificate holds; pure (upstream: pkg/controller/certificates/signer, duration)."""

from __future__ import annotations

from datetime import timedelta

SHORTEST = timedelta(minutes=10)


def lifetime(asked: int | None, longest: float) -> timedelta:
    """What a certificate gets of the seconds that were asked for; `longest` in seconds, too."""
    limit = timedelta(seconds=longest)
    if asked is None:
        return limit
    requested = timedelta(seconds=asked)
    return limit if requested > limit else max(requested, SHORTEST)
