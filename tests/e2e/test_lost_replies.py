"""Tests lost replies of Complete: `tests.chaos.replies` on a small scale."""

from pathlib import Path

import pytest
from partway_server.devstack.servers import S3

from tests.chaos.replies import lose_replies
from tests.support.bucket import look_into

pytestmark = [pytest.mark.redis, pytest.mark.s3]

UPLOADS = 90


async def test_no_upload_suffers_from_a_lost_reply_to_its_complete(
    tmp_path: Path, s3: S3, redis_url: str
) -> None:
    with look_into(s3, "lost-replies") as bucket:
        figures = await lose_replies(
            UPLOADS, folder=tmp_path, s3=s3, redis_url=redis_url, bucket=bucket
        )
    assert figures.all_good, figures
