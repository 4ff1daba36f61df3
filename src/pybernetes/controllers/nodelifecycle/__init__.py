"""Whether nodes are heard of (upstream: pkg/controller/nodelifecycle).

`health` judges nodes and zones; `taints` writes taints, at once or at a rate; `controller` looks around every few seconds.
"""
