"""Whether a cron schedule is right; what it means is in api/cron."""

from pybernetes.api.cron import schedule_error

__all__ = ["schedule_error"]
