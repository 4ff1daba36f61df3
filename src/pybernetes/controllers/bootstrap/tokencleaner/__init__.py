"""Deletes bootstrap tokens whose time is over; when that is is in `bootstrap/tokens`."""
