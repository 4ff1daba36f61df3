"""Aggregation: group-versions of an APIService with a Service are answered by an API server of somebody else's.

`remote` reads an APIService and `availability` decides its condition (both pure); `delegate` leads requests through, `documents` makes
the other server's discovery and OpenAPI part of ours, `controller` follows the objects. Loaded with the first APIService that names
a Service only. Upstream: kube-aggregator.
"""
