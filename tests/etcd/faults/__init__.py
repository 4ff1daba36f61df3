"""Bad days: three members of etcd and three API servers, as processes that are killed, frozen, cut off and started again under load.

`history`, `linearizability` and `events` judge what clients have seen, and are pure; `hosts`, `processes` and `cluster` are what is
broken, `clients` are those who write down what they see. `python -m tests.etcd.faults --minutes 15 --seed 1` is a long run.
"""
