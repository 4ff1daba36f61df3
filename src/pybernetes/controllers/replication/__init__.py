"""ReplicationControllers: a `controller` that reads them as replica sets."""
