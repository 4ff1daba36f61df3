"""ingress-nginx: Ingresses brought about by the host's nginx (upstream: kubernetes/ingress-nginx).

`classes` says which Ingresses are ours and who comes first, `annotations` reads what they ask for, `backends` where Services lead to, `certificates`
what Secrets hold; `plan` makes of these a `model.Configuration`, `render` the text that nginx reads, over `quoting`; all purely. `nginx` is the
process with its files, `controller` the loop between the API and it, `status` what the elected one writes.
"""
