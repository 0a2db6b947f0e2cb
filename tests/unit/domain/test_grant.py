"""Tests that a grant is unpacked as it was packed, and that anything else is a ValueError."""

from typing import Any

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from partway_server.domain.grant import Grant

from tests.support.examples import examples
from tests.support.uploads import an_upload

GRANT = an_upload().grant
PACKED = GRANT.pack()
FIELDS: list[Any] = msgpack.unpackb(PACKED)

anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats()
    | st.text()
    | st.binary(),
    lambda each: st.lists(each, max_size=3) | st.dictionaries(st.text(), each, max_size=3),
    max_leaves=5,
)


def opens(packed: bytes) -> bool:
    """Return whether it opens; anything but ValueError is raised."""
    try:
        Grant.unpack(packed)
    except ValueError:
        return False
    return True


def test_what_was_packed_is_unpacked() -> None:
    assert Grant.unpack(PACKED) == GRANT


@settings(max_examples=examples(500))
@given(st.binary(max_size=300))
def test_bytes_that_are_not_a_grant_are_refused(data: bytes) -> None:
    assert not opens(data)


@settings(max_examples=examples(500))
@given(at=st.integers(0, len(FIELDS) - 1), value=anything)
def test_a_field_of_another_type_is_refused_or_harmless(at: int, value: Any) -> None:
    changed = [*FIELDS[:at], value, *FIELDS[at + 1 :]]
    opens(msgpack.packb(changed))


@pytest.mark.parametrize("value", [None, 1, "x", b"x", {}, [], [1]])
def test_another_value_in_the_place_of_the_fields_is_refused(value: Any) -> None:
    assert not opens(msgpack.packb(value))
