"""What happens with audit events: which are wanted, how they are written down, where they go (upstream: apiserver/pkg/audit, plugin/pkg/audit).

`policy` decides and is pure, as is `record` (an event at one stage, for `objects` of its request). `auditor` is what the chain talks to; it hands
records to `sinks`: the log file (with `rotation`) and `webhook`, blocking or behind `batch`, and cut short where that is asked for. The event itself,
which all of the server adds to, is `apiserver.audit`.
"""
