"""Signs kube-public/cluster-info for those who join with a token; what is signed is in `bootstrap/tokens`."""
