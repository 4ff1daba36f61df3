"""A row of plug-ins that pods choose by `spec.schedulerName` (upstream: pkg/scheduler/profile, framework/runtime).

`config` reads KubeSchedulerConfiguration and builds the profiles of it, `profile` runs one over the table: filter, score, choose. Pure.
"""
