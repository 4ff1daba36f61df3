"""One pod on each node that wants it: `plan` says which come and go; revisions are in `controllers/history`."""
