"""Tells kubelets how long to keep what they have read: `plan` has the steps."""
