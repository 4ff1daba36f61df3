"""Cases that today's upstream answers otherwise than the recorded 1.20, with the change that explains it."""

DIFFERENCES = {
    "active-deadline": "since 1.22 the pod is Failed only when its containers have ended, and their end is told of",
    "dns-limits": "since 1.28 (ExpandedDNSConfig) a resolver takes 32 search paths instead of 6",
    "node-affinity-refused": "since 1.25 the message of a refused pod begins with 'Pod was rejected: ', and there is an event",
    "out-of-memory": "since 1.25 the message of a refused pod begins with 'Pod was rejected: ', and there is an event",
}
