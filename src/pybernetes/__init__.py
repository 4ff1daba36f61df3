"""A whole Kubernetes cluster in Python."""

__version__ = "0.0.1"
