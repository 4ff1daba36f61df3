"""A pod's directories on the host (upstream: pkg/volume, pkg/kubelet/volumemanager).

`payload` decides what lies in a config map's, secret's, downward API's or projected volume (pure); `atomicwriter`, `mount`,
`ownership`, `hostpath` and `subpath` touch the file system, and reach what a pod can influence through `kubelet.safepath`
alone; `manager` is what a pod's worker uses.
"""
