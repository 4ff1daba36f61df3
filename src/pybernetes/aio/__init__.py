"""Concurrency for all parts: back-off and work queues.

Time is a parameter or a Clock, never the wall clock of the machine, so that tests run on
virtual time. Imports only pybernetes.api.
"""
