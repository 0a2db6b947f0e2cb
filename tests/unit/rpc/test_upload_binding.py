"""Tests that whatever a request names is found, and that the tables of permissions agree."""

from partway.v1 import upload_service_pb2 as pb
from partway_server.domain.upload_token import ACTION_SCOPES
from partway_server.rpc.permissions import PERMISSIONS
from partway_server.rpc.upload_binding import upload_ids_of


def test_every_id_in_a_request_is_found() -> None:
    sources = [pb.ComposeRequest().sources.add(upload_id=name) for name in ("a", "b")]
    header = pb.UploadPartHeader(upload_id="c")
    assert list(upload_ids_of(pb.ComposeRequest(sources=sources))) == ["a", "b"]
    assert list(upload_ids_of(pb.UploadPartRequest(header=header))) == ["c"]
    assert list(upload_ids_of(pb.UploadPartRequest(chunk=b"c"))) == []
    assert list(upload_ids_of(pb.StatusRequest(upload_id="d"))) == ["d"]
    assert list(upload_ids_of(pb.StatusRequest())) == []
    completes = [pb.CompleteRequest(upload_id=name) for name in ("e", "", "f")]
    assert list(upload_ids_of(pb.BatchCompleteRequest(requests=completes))) == ["e", "f"]


def test_an_action_needs_the_scope_that_its_rpc_needs() -> None:
    needed = {each.action: each.scope for each in PERMISSIONS.values() if each.action}
    assert needed == ACTION_SCOPES


def test_every_rpc_has_a_permission() -> None:
    service = pb.DESCRIPTOR.services_by_name["UploadService"]
    assert set(PERMISSIONS) == set(service.methods_by_name)
