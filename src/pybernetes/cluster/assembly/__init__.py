"""What `init`, `join` and `reset` do on a host of a cluster of many (upstream: cmd/kubeadm/app/cmd).

`deploy` says, as data, what there is to be; here it is brought about. `initphases.py` and `joinphases.py` are the phases by kubeadm's
names, each of which may be run alone and again; `work.py` is what they share, `hoststate.py` what a host remembers of them, so that
a second run goes on where the first was cut off. `runner.py` has daemons run, by systemd or by our supervisor. `facts.py` looks at the host,
`checks.py` judges what it saw (pure). `discovery.py` finds the cluster that is to be joined, `etcdmember.py` takes its etcd one
member further, `watcher.py` has balancers follow the masters; `removal.py` is the end of it all.
"""
