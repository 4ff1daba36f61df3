"""The node agent (upstream: pkg/kubelet).

`machine` decides, and is pure. `worker` carries out what it says of a pod, on what implements `interfaces`: a `runtime` (CRI's
words), the pods' `network`, `volumes`, `prober`. `node` looks after the machine, `server` has the ports; `app` is one kubelet,
`process` puts one together.
Nothing here imports another part: the cluster is known through `client` only.
"""
