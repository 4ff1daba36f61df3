"""Claims of generic ephemeral volumes: `plan` makes them."""
