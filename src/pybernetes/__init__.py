"""A whole Kubernetes cluster in Python; docs/architecture.md is the map."""
