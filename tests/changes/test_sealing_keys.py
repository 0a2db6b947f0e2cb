"""Tests that a sealing key is replaced without a lost call, in the documented three steps."""

import base64
from pathlib import Path

import pytest

from tests.changes.conftest import Replicas, load_on
from tests.support.bucket import Bucket
from tests.support.fleet import running
from tests.support.load.load import lost

pytestmark = [pytest.mark.changes, pytest.mark.redis, pytest.mark.s3, pytest.mark.timeout(900)]

OLD, NEW = (base64.b64encode(bytes([n]) * 64).decode() for n in (1, 2))


def test_a_key_that_is_replaced_in_three_steps(
    replicas: Replicas, bucket: Bucket, tmp_path: Path
) -> None:
    with running(tmp_path, replicas(sealing_keys=OLD)) as fleet:
        with load_on(fleet, bucket, by_status=False) as load:
            fleet.roll(sealing_keys=f"{OLD},{NEW}")
            fleet.roll(sealing_keys=f"{NEW},{OLD}")
            # An operator waits for the longest life of an upload; here it is seconds.
            load.outlive()
            under_both = len(load.tally.acknowledged)
            assert lost(load.tally.acknowledged[:under_both], bucket, fleet.front.address) == []
            fleet.roll(sealing_keys=NEW)
        under_new = load.tally.acknowledged[under_both:]
        assert under_new
        assert lost(under_new, bucket, fleet.front.address) == []
