"""What a host of the cluster runs, as data: `model` has the words, the other files a function each for the daemons of one kind.

The same description becomes a process under the supervisor, a systemd unit, a static pod's manifest, or text to read (`render/`).
All of it is pure: a cluster and a host in, daemons out. Arguments, files and ports are upstream's, in kubeadm's choice.
"""
