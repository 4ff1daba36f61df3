"""EndpointSlices of services (upstream: pkg/controller/endpointslice, k8s.io/endpointslice).

`plan` says which endpoints a service has, `slices` packs them into few writes, `endpoints` is what the rooms `endpoint` and
`endpointslicemirroring` need as well.
"""
