"""What expressions of admission speak of: the language itself is `pybernetes.cel` (upstream: apiserver/pkg/admission/plugin/cel).

`variables` declares them and makes their values; `authorizer` answers what they ask of the authorizer.
"""
