"""Puts the parts together: PKI, kubeconfigs, command lines, supervisor, up and down."""
