"""Clients of the API: REST, kubeconfig, informers, leader election. Parts know the cluster only through these."""
