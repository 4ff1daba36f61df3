"""So many pods: `plan` compares, and ranks which go first. The room `replication` is the same code."""
