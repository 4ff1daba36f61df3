"""Sizes by metrics (upstream: pkg/controller/podautoscaler).

`calculator` makes replicas of measurements, `limits` keeps a step within behavior and bounds, `plan` words the conditions;
`metrics` asks the metrics APIs on behalf of `controller`.
"""
