"""Secrets of type service-account-token: `plan` says what they hold, and signs."""
