"""What every part has in common (upstream: component-base): command-line flags and logging.

Nothing here knows of a particular part.
"""
