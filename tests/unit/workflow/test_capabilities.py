"""Tests that what GetCapabilities says is what Initialize accepts, refuses and chooses."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from partway_server.config.policy_file import unfit
from partway_server.domain.checksum import Checksum, ChecksumChoice
from partway_server.domain.errors import InvalidRequest
from partway_server.domain.grant import Caller
from partway_server.domain.part_plan import GIB, MAX_PARTS, MIB
from partway_server.domain.policy import Policy
from partway_server.domain.policy_registry import PolicyRegistry
from partway_server.domain.requests import UploadParams
from partway_server.domain.upload import Upload
from partway_server.sessions.memory_store import MemorySessionStore
from partway_server.storage.capabilities import KNOWN, Capabilities
from partway_server.storage.memory import MemoryStorage
from partway_server.workflow.capabilities import PolicyCapabilities, capabilities_of
from partway_server.workflow.deps import make_deps
from partway_server.workflow.new_upload import new_upload

from tests.support.clock import FakeClock
from tests.support.world import SEALING_KEY

ALICE = Caller("acme", "alice")
TIB = 1024 * GIB
ALGORITHMS = [each for each in Checksum if each is not Checksum.NONE]


@st.composite
def policies(draw: st.DrawFn) -> Policy:
    least_part = draw(st.sampled_from([0, 1, MIB, 5 * MIB + 1, 16 * MIB]))
    most_part = draw(st.sampled_from([16 * MIB, 200 * MIB + 1, 5 * GIB, 6 * GIB]))
    largest = [n for n in (5 * MIB, 6 * GIB, 5 * TIB, 60 * TIB) if n <= most_part * MAX_PARTS]
    encryption = draw(st.sampled_from(["", "AES256"]))
    able = [each for each in ALGORITHMS if not (encryption and each is Checksum.MD5)]
    checksums = tuple(draw(st.lists(st.sampled_from(able), unique=True, max_size=3)))
    shapes = [
        {},
        {"content_types": ("image/png", "video/*")},
        {"content_types": ("image/png", "video/*"), "extensions": {"png": ("image/*",)}},
        {"extensions": {"png": ("image/*",), "mp4": ("video/mp4",)}},
        {
            "key_metadata": ("album", "unused"),
            "key_template": "{tenant}/{metadata.album}/{date}/{sid}",
        },
    ]
    rules: dict[str, Any] = {
        "min_size_bytes": draw(st.sampled_from([0, 1, 5 * MIB])),
        "max_size_bytes": draw(st.sampled_from(largest)),
        "part_size_bytes": draw(st.integers(least_part, most_part)),
        "min_part_size_bytes": least_part,
        "max_part_size_bytes": most_part,
        "single_put_max_bytes": draw(st.sampled_from([0, 1, 16 * MIB, 6 * GIB])),
        "checksums": checksums,
        "default_checksum": draw(st.sampled_from([Checksum.NONE, *(checksums or able)])),
        "encryption": encryption,
        "upload_seconds": draw(st.sampled_from([900, 7 * 24 * 3600, 40 * 24 * 3600])),
        "required_metadata": draw(st.sampled_from([(), ("title",)])),
        **draw(st.sampled_from(shapes)),
    }
    return Policy("default", "uploads", **rules)


class Service:
    """What Initialize decides, by one policy on one kind of storage."""

    def __init__(self, policy: Policy, storage: Capabilities) -> None:
        clock = FakeClock()
        self.said: PolicyCapabilities = capabilities_of(policy, storage)
        self.deps = make_deps(
            [SEALING_KEY],
            30,
            policies=PolicyRegistry({"default": policy}),
            sessions=MemorySessionStore(clock),
            storage=MemoryStorage(capabilities=storage),
            clock=clock,
        )
        said = self.said
        self._plain = UploadParams(
            policy="default",
            file_name=f"film.{next(iter(policy.extensions), '')}",
            size_bytes=max(policy.min_size_bytes, 1),
            content_type="image/png",
            metadata=dict.fromkeys(policy.needed_metadata, "x"),
            part_size_bytes=0,
            checksum=said.checksums[0],
            fingerprint="",
            request_id="",
        )

    def initialize(self, **changes: Any) -> Upload | None:
        """Return the Upload, or None if it is refused."""
        try:
            return new_upload(self.deps, ALICE, replace(self._plain, **changes))
        except InvalidRequest:
            return None


@st.composite
def services(draw: st.DrawFn) -> Service:
    policy = draw(policies())
    # With others the service does not start.
    kinds = [kind for kind, can in KNOWN.items() if not list(unfit(policy, can))]
    assume(kinds)
    return Service(policy, KNOWN[draw(st.sampled_from(sorted(kinds)))])


@given(services())
def test_files_of_the_sizes_named_are_accepted_and_no_others(service: Service) -> None:
    least, most = service.said.policy.min_size_bytes, service.said.max_size_bytes
    assert service.initialize(size_bytes=least) is not None
    assert service.initialize(size_bytes=most) is not None
    assert service.initialize(size_bytes=most + 1) is None
    if least:
        assert service.initialize(size_bytes=least - 1) is None


@given(services())
def test_the_checksums_named_are_accepted_and_no_others(service: Service) -> None:
    said = service.said
    for checksum in Checksum:
        upload = service.initialize(checksum=checksum)
        assert (upload is not None) is (checksum in said.checksums)
        assert upload is None or upload.grant.checksum is checksum
    unnamed = service.initialize(checksum=ChecksumChoice.DEFAULT)
    assert (unnamed.grant.checksum if unnamed else None) is said.default_checksum
    best = service.initialize(checksum=ChecksumChoice.BEST)
    assert best is not None and best.grant.checksum is said.checksums[0]


@given(services(), st.integers(1, 6 * GIB))
def test_parts_have_the_sizes_named(service: Service, wanted: int) -> None:
    said = service.said
    small = {"size_bytes": max(said.policy.min_size_bytes, 1), "multipart": True}
    assume(small["size_bytes"] <= MAX_PARTS * said.min_part_size_bytes)

    def part_size(**changes: int) -> int:
        upload = service.initialize(**{**small, **changes})
        assert upload is not None
        return upload.grant.plan.part_size_bytes

    assert part_size(part_size_bytes=1) == said.min_part_size_bytes
    assert part_size(part_size_bytes=said.max_part_size_bytes) == said.max_part_size_bytes
    if small["size_bytes"] <= MAX_PARTS * said.default_part_size_bytes:
        assert part_size() == said.default_part_size_bytes
    largest = part_size(size_bytes=said.max_size_bytes)
    for chosen in (part_size(part_size_bytes=wanted), largest):
        assert said.min_part_size_bytes <= chosen <= said.max_part_size_bytes


@given(services())
def test_a_file_up_to_the_size_named_is_one_put_and_a_larger_one_is_not(service: Service) -> None:
    said = service.said
    most = said.single_put_max_bytes
    for size in (0, 1, most, most + 1, said.max_size_bytes):
        upload = service.initialize(size_bytes=size)
        if upload is not None:
            assert upload.grant.single is (size <= most)
            in_parts = service.initialize(size_bytes=size, multipart=True)
            assert (in_parts is None) is (size == 0)
            assert in_parts is None or not in_parts.grant.single


@given(services())
def test_an_upload_has_the_lifetime_named_and_no_longer_one_than_the_longest(
    service: Service,
) -> None:
    upload, policy = service.initialize(), service.said.policy
    assert upload is not None
    grant = upload.grant
    assert grant.expire_time - grant.create_time == timedelta(seconds=policy.upload_seconds)
    mark = service.deps.key_marks.read(grant.bucket, grant.key)
    assert mark is not None
    longest = timedelta(seconds=policy.max_upload_seconds)
    assert mark.expire_time - grant.create_time == longest


@given(services())
def test_metadata_that_is_not_named_need_not_be_given(service: Service) -> None:
    needed = service.said.policy.needed_metadata
    assert service.initialize(metadata=dict.fromkeys(needed, "x")) is not None
    for missing in needed:
        given_ = {key: "x" for key in needed if key != missing}
        assert service.initialize(metadata=given_) is None


TYPES = ["image/png", "image/gif", "video/mp4", "video/x-any", "text/plain"]


@given(services(), st.sampled_from(["png", "mp4", "txt", ""]), st.sampled_from(TYPES))
def test_names_and_types_are_accepted_as_named(
    service: Service, extension: str, content_type: str
) -> None:
    said = service.said
    patterns = said.extensions.get(extension, ()) if said.extensions else said.policy.content_types
    named = any(p in ("*", content_type) or p == f"{content_type[:5]}/*" for p in patterns)
    name = f"film.{extension}" if extension else "film"
    accepted = service.initialize(file_name=name, content_type=content_type)
    assert (accepted is not None) is named


@pytest.mark.parametrize("kind", sorted(KNOWN))
def test_the_default_policy_on_each_kind_of_storage(kind: str) -> None:
    said = capabilities_of(Policy("default", "uploads"), KNOWN[kind])
    assert said.min_part_size_bytes == 5 * MIB
    assert said.default_part_size_bytes == 16 * MIB
    assert said.checksums[-1] is said.default_checksum is Checksum.NONE
    assert said.single_put_max_bytes == (16 * MIB if KNOWN[kind].safe_puts else 0)
