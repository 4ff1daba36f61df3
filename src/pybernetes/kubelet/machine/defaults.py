"""What the node's configuration says of all its containers."""

from __future__ import annotations

from dataclasses import dataclass

CPU_PERIOD = 100_000  # microseconds
CRASH_MAXIMUM = 300.0


@dataclass(frozen=True, slots=True)
class Defaults:
    """See KubeletConfiguration."""

    seccomp: bool = False  # seccompDefault: who names no profile has the runtime's
    cpu_quota: bool = True  # cpuCFSQuota
    cpu_period: int = CPU_PERIOD  # cpuCFSQuotaPeriod, in microseconds
    crash_maximum: float = CRASH_MAXIMUM  # crashLoopBackOff.maxContainerRestartPeriod, in seconds

    def quota(self, milli_cpus: int, smallest: int) -> int:
        """Microseconds of processor time in each period; 0: any number."""
        return max(milli_cpus * self.cpu_period // 1000, smallest) if milli_cpus and self.cpu_quota else 0


USUAL = Defaults()
