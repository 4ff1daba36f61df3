"""What is wrong with how the API server is to be reached."""

from __future__ import annotations


class ConfigError(ValueError):
    """A kubeconfig that cannot be used; the text says what is wrong and where."""


class NoCredentials(ConfigError, ConnectionError):
    """A token file or credential plug-in gives nothing now. A request fails of it as of a server that is away: it may be tried again."""
