"""ValidatingAdmissionPolicy and MutatingAdmissionPolicy, enforced (upstream: apiserver/pkg/admission/plugin/policy).

`plugins` are the two steps of the chain. `source` knows the policies that there are, by what they look at; `definitions` are they and their
bindings, read once; `matching`, `params` and `evaluation` say what each makes of a request, `outcome` and `patching` what becomes of it: all
pure. `dispatch`, `validating` and `mutating` fetch what these need to know.
"""
