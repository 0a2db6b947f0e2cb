"""A Partway service in memory, for the tests of applications.

It speaks gRPC and HTTP on 127.0.0.1, so the code under test is used as it is: with our clients,
with stubs, in any language. Nothing is written to disk, and nothing but this package is needed.

    from partway_client.testing import FakeService

    with FakeService() as service:
        with SyncUploadClient(service.address) as client:
            client.upload_file("movie.mp4")
        [stored] = service.objects.values()
        assert stored.content == Path("movie.mp4").read_bytes()

With `pytest_plugins = ["partway_client.testing.pytest_plugin"]` in a conftest.py, tests get one as
the fixture `partway_service`.

Uploads have the states, and calls the errors, that they have in the real service. What belongs to
an installation does not exist: all callers count as one, policies and quotas limit nothing, any
token is taken, checksums are not verified, and uploads expire only when a test says so.
"""

from partway_client.testing.fake_service import FakeService
from partway_client.testing.fake_uploads import FakeObject

__all__ = ["FakeObject", "FakeService"]
