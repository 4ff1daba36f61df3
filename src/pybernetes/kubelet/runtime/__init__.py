"""Container runtimes behind `types.Runtime`: Docker's HTTP API, and hollow containers that only a clock knows."""
