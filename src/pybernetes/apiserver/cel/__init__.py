"""CEL, the language of admission's conditions and policies (upstream: apiserver/pkg/cel).

The engine is cel-expr-python, the CEL project's own (C++, type-checked), loaded at the first expression. It is an optional dependency:
`environment` says so where it is missing. `library` and its neighbours are what Kubernetes adds to the language. Pure.
"""
