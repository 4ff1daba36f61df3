"""What stands in for envtest's binaries: `etcd`, `kube-apiserver` and `kubectl` in a folder that KUBEBUILDER_ASSETS names.

`assets.py` writes the folder; `etcd.py` is what its `etcd` runs, `where.py` how the API server finds its store, and `plan.py` what becomes of
envtest's flags (pure). The API server itself is `cli/envtestapiserver.py`. Upstream: sigs.k8s.io/controller-runtime pkg/envtest and its
pkg/internal/testing. Nothing else of pybernetes is imported by `etcd.py`: it is started twice for every suite.
"""
