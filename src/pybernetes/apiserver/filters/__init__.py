"""The links of the request chain, one a file; `apiserver/chain.py` has their order (upstream: apiserver/pkg/server/filters,
endpoints/filters).

A link is called with the exchange and the rest of the chain. It answers by itself, fails with an exception (a StatusError is what
the client is told), or hands on. One that has nothing to do after the answer returns `next(exchange)` without awaiting it: no
coroutine of its own stands in the way. Nothing here knows a resource or a verb's meaning.
"""
