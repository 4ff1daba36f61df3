"""metrics-server: what nodes and pods use now, asked of their kubelets and served as metrics.k8s.io (upstream: kubernetes-sigs/metrics-server).

`points` reads what a kubelet says, `storage` keeps the last two points of each and makes rates of them, `kubelets` says where one is asked,
`objects` makes the API's objects (all pure); `scraper` asks the kubelets, `api` answers.
"""
