"""Claims and volumes: `plan` finds which go together, `controller` binds, releases and asks for new ones."""
