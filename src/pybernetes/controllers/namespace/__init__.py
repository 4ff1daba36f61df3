"""Empties namespaces that are being deleted: `plan` words the conditions, `controller` deletes kind after kind."""
