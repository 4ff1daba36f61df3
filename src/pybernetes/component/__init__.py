"""What every part has in common (upstream: component-base): command-line flags, logging, metrics, health endpoints.

Nothing here knows of a particular part.
"""
