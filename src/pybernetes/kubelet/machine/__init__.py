"""What is decided, without I/O, clock or randomness: functions and machines of what they are told, `now` among it.

`pod` says what one pod needs next (events in, instructions out), `status` what the API shows of it; `config`, `dns` and `hosts`
what its sandbox and containers are made of, `events` the texts; `admission` takes or refuses pods, `eviction` chooses who goes;
`node` makes the Node object. All of this folder is pure, which the import contracts check: who reads, waits or asks lives elsewhere.
"""
