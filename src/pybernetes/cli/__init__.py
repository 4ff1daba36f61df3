"""The command `pybernetes`: one module a command, listed in `main.COMMANDS`."""
