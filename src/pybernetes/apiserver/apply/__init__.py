"""Who manages which field, and server-side apply (upstream: sigs.k8s.io/structured-merge-diff, apimachinery/pkg/util/managedfields).

Pure: objects are plain dicts, `now` is a parameter. `fieldset` has sets of paths, `schema` how lists and maps merge, `typed` what two objects
have in common, `managed` the entries of metadata.managedFields, `fieldmanager` the rules of update and apply.
"""
