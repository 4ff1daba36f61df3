"""The node agent (upstream: pkg/kubelet).

`pod` decides what one pod needs next, `status` what the API shows of it, `config` what a container is made of: all pure.
`worker` carries the instructions out on a runtime (`runtime.types`: CRI's verbs) and a pod network; `app` is the process.
Nothing here imports another part: the cluster is known through `client` only.
"""
