"""All hosts of a cluster from one file, over SSH: `pybernetes deploy cluster.yaml`.

`clusterfile` reads the file and `judge` says what is wrong with it, `facts` what a host says of itself, `wanted` what it is to have; `plan`
makes of both what is to be done (`actions`), `guide` shows that to people. These are pure. `ssh` is the way to a host, `bundle` packs this
installation for hosts that have none, and `execute` does what the plan says, asks for the facts again and goes on until there is nothing
left to do: that is why a second run finishes what the first one could not.
"""
