"""service-load-balancer: Services of type LoadBalancer where there is no cloud (as MetalLB's layer 2 mode, or k3s's servicelb).

`pools` are the addresses there are, `plan` says which of them a Service has, or which nodes', and `holders` which node announces an address; `frames`
are ARP and neighbour discovery; all purely. `controller` (one of the cluster's, elected) writes statuses, `speaker` runs on each node and
`announcer` answers on its links. Where packets go then is kube-proxy's.
"""
