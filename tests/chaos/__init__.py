"""Uploads while all under them is killed, and an audit of what was promised: `make chaos`."""
