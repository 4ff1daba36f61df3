"""Custom resources: what a CustomResourceDefinition says, made into the same `Resource` record that built-in kinds fill.

`loader` watches for definitions and is the only module here that every server imports; all else is loaded with the first definition.
`controller` carries out what `names` decides and hands the records that `resources` makes to whoever answers requests; `finalizer` ends
instances, `apiservices` registers group-versions, `conversion` leads from version to version, `schema` reads bodies. The walkers over structural
schemas (`structural`, `values`, `listtypes`, `objectmeta`, `jsonpath`) and the rules for definitions (`definition`, `schemarules`)
are pure. Upstream: staging/src/k8s.io/apiextensions-apiserver.
"""
