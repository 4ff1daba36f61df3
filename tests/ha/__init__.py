"""Three masters, two workers and what happens to them: hosts of a cluster that works are killed, frozen, cut off and restarted, while there
is load at the virtual address. `python -m tests.ha.chaos` does so by dice."""
