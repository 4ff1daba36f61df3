"""The kubelet's ports (upstream: pkg/kubelet/server).

`routes` says what a path is and which right it wants (pure), `handlers` answers, `stats` reads cgroups, `netns` connects into pods.
"""
