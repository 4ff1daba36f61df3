"""One store of several processes of a server: one has it, the others ask it over a socket that they inherit.

`server` answers for the store, `client` is a `Store` in another process, `messages` is what passes between them, and `counter` is the
one thing that they share in memory: the newest revision, so that a read which must be fresh asks nobody.
"""

SCHEME = "shared"  # of the URL by which a worker is told where its store is
