"""CEL as Kubernetes has it: typed by schemas, with its own libraries and costs (upstream: cel-go, apiserver/pkg/cel).

`environment(variables).compile(source)` makes a Program, `Program.evaluate(bindings)` its value. `types` are what variables are declared with,
`schematypes` makes them, and values, of OpenAPI schemas. `lexer`, `parser` and `macros` make the syntax tree, `checker` and `validators` look
at its types, `evaluator` makes closures of it; `library` has the functions. Pure: no clock, no chance, no I/O.
"""
