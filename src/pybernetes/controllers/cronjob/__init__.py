"""Jobs by the clock (upstream: pkg/controller/cronjob).

`plan` is one sync as a function of the cron job, its jobs and now; when a schedule is due is in `pybernetes.api.cron`.
"""
