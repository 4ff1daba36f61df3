"""Service accounts (upstream: pkg/controller/serviceaccount): `accounts` keeps `default`, `tokens` fills secrets."""
