"""Priority and fairness: whose request runs now, whose waits, and whose is refused (upstream: apiserver/pkg/util/flowcontrol).

`configuration` reads FlowSchemas and PriorityLevelConfigurations, `rules` says which schema a request matches, `work` how many seats it
takes; `shufflesharding` and `queueset` are the fair queues of a level, `allocation` and `demand` lend seats from level to level;
`controller` holds it all. These are pure: `now` is given, in seconds of a monotonic clock. `consumer` keeps them current, and
writes the conditions that `status` plans; the link of the chain is `filters/priorityandfairness.py`.
"""
