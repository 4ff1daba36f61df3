"""A cluster over many hosts as data, and the phases that bring it about, one by one (upstream: cmd/kubeadm).

Data first: `configuration.py` reads kubeadm's files (`types.py` is their newest form, `v1beta3.py` the one before, `validation.py` judges
them). Of a configuration `certificates.py` says which certificates there are and for whom, `kubeconfigs.py` which kubeconfigs
(`kubeconfigfile.py` is one), `tokens.py` which Secret a bootstrap token is. All of these are pure: objects and `now` in, data out, the same
for who writes files, prints a plan or compares with a cluster. `pkifiles.py`, `phases.py` and `renewal.py` are the thin shell that
touches the disk; `cli/` has the commands.

Names of files, users, groups and objects are kubeadm's, so that its tools work on a cluster made here, and these on a cluster of its
making. What a host is to run (argv, files, environment, health) will stand here too, as data that knows nothing of supervisors,
systemd or namespaces: `cluster` and later deployments turn it into processes.
"""
