"""local-path-provisioner: directories of a node as volumes for claims (upstream: rancher/local-path-provisioner and its library).

One runs on each node and serves the claims that the scheduler has given to it, as external provisioners do with --node-deployment: so no pod
needs to be started elsewhere to make or remove a directory. `plan` decides (pure), `directories` touches the disk, `provisioner` does.
"""
