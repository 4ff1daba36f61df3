"""From HTTP requests to verbs on resources, and back (upstream: apiserver/pkg/endpoints)."""
