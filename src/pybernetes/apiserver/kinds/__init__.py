"""The built-in kinds: one module each group-version folder, one `Resource` record each kind.

`RESOURCES` below is the whole table; a kind that is not in it does not exist. Modules hold pure functions only.
"""
