"""Keeps kube-root-ca.crt in each namespace: `plan` compares."""
