"""Bytes on the network: the HTTP/1.1 server on httptools.

Knows nothing of Kubernetes: routing and JSON are the business of who uses it.
"""
