"""Pods with a name, an order and storage: `plan` is one sync as a list of actions, revisions are `controllers/history`."""
