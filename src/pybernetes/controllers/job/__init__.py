"""Pods that run to their end (upstream: pkg/controller/job).

`plan` is one sync: what is counted, created, deleted and written. `indexes` holds completion indexes as intervals, `policies` judges
failures and successes, `backoff` says how long to wait, `pods` makes the pods, `util` reads jobs and pods.
"""
