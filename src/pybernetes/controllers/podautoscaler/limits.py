"""How far one step of an autoscaler may go; pure (upstream: pkg/controller/podautoscaler/horizontal.go, normalizeDesiredReplicas*)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from pybernetes.api.types import autoscaling_v2 as autoscaling

SCALE_UP_FACTOR, SCALE_UP_MINIMUM = 2, 4  # without behavior: at most twice as many, but four are always allowed
IN_RANGE = ("DesiredWithinRange", "the desired count is within the acceptable range")
TOO_FEW = ("TooFewReplicas", "the desired replica count is less than the minimum replica count")
TOO_MANY = ("TooManyReplicas", "the desired replica count is more than the maximum replica count")
UP_LIMIT = ("ScaleUpLimit", "the desired replica count is increasing faster than the maximum scale rate")
DOWN_LIMIT = ("ScaleDownLimit", "the desired replica count is decreasing faster than the maximum scale rate")

Text = tuple[str, str]  # reason and message


@dataclass
class History:
    """What an autoscaler recommended and did, and when on the monotonic clock: windows are as long as they say."""

    recommendations: list[tuple[float, int]] = field(default_factory=list)
    ups: list[tuple[float, int]] = field(default_factory=list)
    downs: list[tuple[float, int]] = field(default_factory=list)

    def remember(self, now: float, replicas: int, longest: float) -> None:
        """Adds a recommendation; forgets those beyond the longest window."""
        self.recommendations = [(at, n) for at, n in self.recommendations if at > now - longest]
        self.recommendations.append((now, replicas))

    def scaled(self, now: float, before: int, after: int, longest: float) -> None:
        """Notes a change of size; forgets those that no policy's period reaches any more."""
        changes = self.ups if after > before else self.downs
        changes[:] = [(at, n) for at, n in changes if at > now - longest]
        changes.append((now, abs(after - before)))


@dataclass(frozen=True, slots=True)
class Step:
    """The size to set and what the conditions AbleToScale and ScalingLimited say."""

    replicas: int
    able: Text
    limited: bool
    why: Text


READY = ("ReadyForNewScale", "recommended size matches current size")


def simple_step(history: History, now: float, current: int, desired: int, least: int, most: int, window: float) -> Step:
    """Without behavior: shrinks to the highest recommendation of the window, grows to twice the size."""
    recent = [n for at, n in history.recommendations if at > now - window]
    stable = max([desired, *recent])
    history.remember(now, desired, window)
    able = READY
    if stable != desired:
        text = "recent recommendations were higher than current one, applying the highest recent recommendation"
        able = ("ScaleDownStabilized", text)
    limit = max(SCALE_UP_FACTOR * current, SCALE_UP_MINIMUM)
    ceiling, reason = (limit, UP_LIMIT) if most > limit else (most, TOO_MANY)
    replicas, why = stable, IN_RANGE
    if stable < least:
        replicas, why = least, TOO_FEW
    elif stable > ceiling:
        replicas, why = ceiling, reason
    return Step(replicas, able, replicas != stable, why)


def behaved_step(
    history: History,
    now: float,
    current: int,
    desired: int,
    least: int,
    most: int,
    behavior: autoscaling.HorizontalPodAutoscalerBehavior,
    window: float,
) -> Step:
    """With behavior: windows both ways, and policies that limit the rate."""
    up, down = behavior.scale_up or UP_DEFAULT, behavior.scale_down or DOWN_DEFAULT
    up_window = float(up.stabilization_window_seconds or 0)
    seconds = down.stabilization_window_seconds
    down_window = window if seconds is None else float(seconds)
    low = min([desired, *(n for at, n in history.recommendations if at > now - up_window)])
    high = max([desired, *(n for at, n in history.recommendations if at > now - down_window)])
    stable = min(max(current, low), high)
    history.remember(now, desired, max(up_window, down_window))
    able = READY
    if stable != desired:
        way, most_or_least = ("lower", "lowest") if desired >= current else ("higher", "highest")
        name = "ScaleUpStabilized" if desired >= current else "ScaleDownStabilized"
        able = (
            name,
            f"recent recommendations were {way} than current one, applying the {most_or_least} recent recommendation",
        )
    replicas, why = _limited(history, now, current, stable, least, most, up, down)
    return Step(replicas, able, replicas != stable, why)


def _limited(
    history: History,
    now: float,
    current: int,
    desired: int,
    least: int,
    most: int,
    up: autoscaling.HPAScalingRules,
    down: autoscaling.HPAScalingRules,
) -> tuple[int, Text]:
    if desired > current:
        limit = max(current, _up_limit(history, now, current, up))
        ceiling, reason = (limit, UP_LIMIT) if most > limit else (most, TOO_MANY)
        if desired > ceiling:
            return ceiling, reason
    elif desired < current:
        limit = min(current, _down_limit(history, now, current, down))
        floor, reason = (limit, DOWN_LIMIT) if least < limit else (least, TOO_FEW)
        if desired < floor:
            return floor, reason
    if desired > most:
        return most, TOO_MANY
    if desired < least:
        return least, TOO_FEW
    return desired, IN_RANGE


def _changed(changes: Sequence[tuple[float, int]], now: float, seconds: int) -> int:
    return sum(count for at, count in changes if at > now - seconds)


def _up_limit(history: History, now: float, current: int, rules: autoscaling.HPAScalingRules) -> int:
    if rules.select_policy == "Disabled":
        return current
    proposals = []
    for policy in rules.policies:
        start = current - _changed(history.ups, now, policy.period_seconds)
        start += _changed(history.downs, now, policy.period_seconds)
        if policy.type == "Pods":
            proposals.append(start + policy.value)
        else:  # rounded up: a small set would never grow
            proposals.append(math.ceil(start * (100 + policy.value) / 100))
    if not proposals:
        return current
    return min(proposals) if rules.select_policy == "Min" else max(proposals)


def _down_limit(history: History, now: float, current: int, rules: autoscaling.HPAScalingRules) -> int:
    if rules.select_policy == "Disabled":
        return current
    proposals = []
    for policy in rules.policies:
        start = current + _changed(history.downs, now, policy.period_seconds)
        start -= _changed(history.ups, now, policy.period_seconds)
        if policy.type == "Pods":
            proposals.append(start - policy.value)
        else:
            proposals.append(start * (100 - policy.value) // 100)
    if not proposals:
        return current
    return max(proposals) if rules.select_policy == "Min" else min(proposals)


def longest_period(behavior: autoscaling.HorizontalPodAutoscalerBehavior | None) -> float:
    """How long changes of size must be remembered."""
    rules = (behavior.scale_up, behavior.scale_down) if behavior is not None else ()
    periods = [policy.period_seconds for rule in rules if rule is not None for policy in rule.policies]
    return max(periods, default=0)


# What the API server fills in where only one of the two is given (v2 defaults).
UP_DEFAULT = autoscaling.HPAScalingRules(
    stabilization_window_seconds=0,
    select_policy="Max",
    policies=[
        autoscaling.HPAScalingPolicy(type="Pods", value=4, period_seconds=15),
        autoscaling.HPAScalingPolicy(type="Percent", value=100, period_seconds=15),
    ],
)
DOWN_DEFAULT = autoscaling.HPAScalingRules(
    select_policy="Max", policies=[autoscaling.HPAScalingPolicy(type="Percent", value=100, period_seconds=15)]
)
