"""The upload service that most write first: FastAPI, one aioboto3 client, sessions in Redis."""

import json
import os
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aioboto3
from botocore.config import Config
from fastapi import FastAPI, HTTPException
from pydantic import BaseModel
from redis.asyncio import Redis

BUCKET = "partway"
LIFETIME = 3600


class File(BaseModel):
    name: str
    size: int


class Part(BaseModel):
    number: int
    etag: str


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    config = Config(signature_version="s3v4", s3={"addressing_style": "path"})
    async with (
        # No timeout: while it signs 10,000 URLs, the loop may not look at a reply for seconds.
        Redis.from_url(os.environ["REDIS_URL"], socket_timeout=None) as app.state.redis,
        aioboto3.Session().client(
            "s3", endpoint_url=os.environ["S3_ENDPOINT"], config=config
        ) as app.state.s3,
    ):
        yield


app = FastAPI(lifespan=lifespan)


async def session(upload_id: str) -> dict[str, Any]:
    row = await app.state.redis.get(f"upload:{upload_id}")
    if row is None:
        raise HTTPException(404)
    return json.loads(row)


async def sign(place: dict[str, Any], numbers: list[int]) -> list[str]:
    return [
        await app.state.s3.generate_presigned_url(
            "upload_part", Params={**place, "PartNumber": number}, ExpiresIn=LIFETIME
        )
        for number in numbers
    ]


@app.post("/uploads")
async def create(file: File) -> dict[str, str]:
    upload_id = uuid.uuid4().hex
    place = {"Bucket": BUCKET, "Key": f"{upload_id}/{file.name}"}
    made = await app.state.s3.create_multipart_upload(**place)
    row = json.dumps({**place, "UploadId": made["UploadId"]})
    await app.state.redis.set(f"upload:{upload_id}", row, ex=24 * LIFETIME)
    return {"id": upload_id}


@app.post("/uploads/{upload_id}/urls")
async def urls(upload_id: str, numbers: list[int]) -> list[str]:
    return await sign(await session(upload_id), numbers)


@app.post("/uploads/{upload_id}/complete")
async def complete(upload_id: str, parts: list[Part]) -> dict[str, str]:
    named = [{"PartNumber": part.number, "ETag": part.etag} for part in parts]
    place = await session(upload_id)
    done = await app.state.s3.complete_multipart_upload(**place, MultipartUpload={"Parts": named})
    await app.state.redis.delete(f"upload:{upload_id}")
    return {"etag": done["ETag"]}


@app.delete("/uploads/{upload_id}", status_code=204)
async def abort(upload_id: str) -> None:
    await app.state.s3.abort_multipart_upload(**await session(upload_id))
    await app.state.redis.delete(f"upload:{upload_id}")
