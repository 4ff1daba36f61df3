"""Pods with a name, an order and storage (upstream: pkg/controller/statefulset).

`plan` is one sync as a list of actions; revisions are in `controllers/history`.
"""
