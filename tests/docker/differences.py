"""Cases that today's upstream answers otherwise than the recorded 1.20, with the change that explains it."""

DIFFERENCES = {
    "active-deadline": "since 1.22 the pod is Failed only when its containers have ended, and their end is told of",
    "dns-limits": "since 1.28 (ExpandedDNSConfig) a resolver takes 32 search paths instead of 6",
    "node-affinity-refused": "since 1.25 the message of a refused pod begins with 'Pod was rejected: ', and there is an event",
    "out-of-memory": "since 1.25 the message of a refused pod begins with 'Pod was rejected: ', and there is an event",
}

# Lines that today's upstream writes otherwise, in cases that are played all the same: what was recorded, what it is now.
CHANGED = {
    # Since 1.21 (#98717) all directories that a subPath makes have the volume's mode, not the last alone.
    "subpath": {
        "drwxr-xr-x    3 0        0             4096 <time> x": "drwxrwxrwx    3 0        0             4096 <time> x"
    },
}
