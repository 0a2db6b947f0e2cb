"""Hostile input at length, against a real service: `make fuzz`."""
