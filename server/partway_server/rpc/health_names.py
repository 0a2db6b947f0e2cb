"""The names under which health is reported and asked for. Imports nothing: a probe pays for it."""

SERVICE = "partway.v1.UploadService"

LIVENESS = "liveness"
"""The name to ask whether the process is alive."""
