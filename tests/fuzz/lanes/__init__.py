"""The lanes of a run, each one kind of hostile input."""
