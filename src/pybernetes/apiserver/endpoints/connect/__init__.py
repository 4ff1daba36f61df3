"""Through to kubelets, pods and services: log, exec, attach, portforward and proxy.

`location` says where a request goes (pure), `kubelet` how nodes are reached, `forward` carries requests, answers and upgraded
connections, `handlers` ties them together. Upgraded bytes are passed as they are: a kubelet that speaks the client's protocol
(ours: SPDY/3.1, WebSocket v4 and v5) serves it itself; one that does not refuses, and kubectl falls back to SPDY.
Only port-forward's SPDY within WebSocket is unwrapped here, as upstream's API server does.
"""
