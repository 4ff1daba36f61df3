"""Recorded cases (Kubernetes 1.20) that today's upstream answers differently: name -> the change that explains it."""

DIFFERENCES: dict[str, str] = {}
