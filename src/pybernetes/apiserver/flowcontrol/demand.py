"""How many seats a level could have used, over time (upstream: fairqueuing/integrator.go and seatDemandStats)."""

from __future__ import annotations

from dataclasses import dataclass

SMOOTHING = 0.977  # of what a level is thought to want there stays so much after each adjustment


@dataclass(frozen=True, slots=True)
class Observed:
    """Of one period."""

    seconds: float
    average: float
    deviation: float
    highest: float


@dataclass(slots=True)
class Demand:
    """What is known of a level's demand."""

    average: float = 0.0
    deviation: float = 0.0
    high_watermark: int = 0
    smoothed: float = 0.0

    def update(self, observed: Observed) -> None:
        """By another period. Demand that grows counts at once, demand that falls is forgotten slowly."""
        self.high_watermark = round(observed.highest)
        if observed.seconds <= 0:
            return
        self.average, self.deviation = observed.average, observed.deviation
        envelope = observed.average + observed.deviation
        self.smoothed = max(envelope, SMOOTHING * self.smoothed + (1 - SMOOTHING) * envelope)
