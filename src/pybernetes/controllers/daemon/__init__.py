"""One pod on each node that wants it: `plan` says which pods come and go, revisions are `controllers/history`."""
