"""A pod's directories on the host (upstream: pkg/volume, pkg/kubelet/volumemanager).

What a pod can influence is reached through `kubelet.safepath` alone. `payload` decides what lies in a config map's, secret's, downward API's or projected volume (pure); `atomicwriter`, `mount`,
`ownership`, `hostpath` and `subpath` touch the file system; `manager` is what a pod's worker uses.
"""
