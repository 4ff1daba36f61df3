"""The kubelet's certificates that the cluster signs (upstream: pkg/kubelet/certificate, client-go/util/certificate).

`plan` decides what is asked for, when, and whether what is there will do; `signing` asks for one certificate, `manager` keeps one fresh
while the kubelet runs, `bootstrap` gets the first with a token, `watchdog` ends a
kubelet that gets none any more, `store` is the files. Nothing here ends a connection.
"""
