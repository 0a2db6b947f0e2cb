"""Compares our presigner with botocore's and aiobotocore's: URLs per second on one core.

Run it as `python -m bench.presign`. Each round signs the URLs of 10,000 equal parts with each
signer in turn, so that a busy machine slows all of them alike; ratios are taken within a round. The
last line of output is one JSON object.
"""

import asyncio
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiobotocore
import botocore
from aiobotocore.config import AioConfig
from aiobotocore.session import AioSession
from botocore.config import Config
from botocore.session import Session
from partway_server.storage.sigv4 import Credentials, S3Endpoint, Signer

PARTS = 10_000
ROUNDS = 7
PART_BYTES = 16 * 1024 * 1024
LIFETIME_SECONDS = 900
CREDENTIALS = Credentials("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
ENDPOINT = S3Endpoint("https://s3.eu-central-1.amazonaws.com", "eu-central-1", "virtual")
BUCKET = "customer-uploads"
KEY = "tenant-1/2026/11/21/a3f9c1e2/holiday video.mp4"
MULTIPART_ID = "VXBsb2FkIElEIGZvciBlbHZpbmcncyBteS1tb3ZpZS5tMnRzIHVwbG9hZA" * 2
SETTINGS: dict[str, Any] = {
    "signature_version": "s3v4",
    "s3": {"addressing_style": ENDPOINT.addressing},
    "request_checksum_calculation": "when_required",
}
CLIENT: dict[str, Any] = {
    "region_name": ENDPOINT.region,
    "endpoint_url": ENDPOINT.url,
    "aws_access_key_id": CREDENTIALS.access_key,
    "aws_secret_access_key": CREDENTIALS.secret_key,
}

Sign = Callable[[range], Awaitable[list[str]]]


async def ours(numbers: range) -> list[str]:
    """Sign with a new signer each time, as if this were the first upload of the day."""
    signer = Signer(CREDENTIALS, ENDPOINT)
    parts = signer.for_parts(
        BUCKET, KEY, MULTIPART_ID, lifetime_seconds=LIFETIME_SECONDS, now=datetime.now(UTC)
    )
    return list(map(parts.of_size(PART_BYTES), numbers))


async def ours_one_by_one(numbers: range) -> list[str]:
    """Sign with `url`, as parts with headers of their own are signed."""
    signer = Signer(CREDENTIALS, ENDPOINT)
    parts = signer.for_parts(
        BUCKET, KEY, MULTIPART_ID, lifetime_seconds=LIFETIME_SECONDS, now=datetime.now(UTC)
    )
    return [parts.url(number, {"content-length": str(PART_BYTES)}) for number in numbers]


def call(number: int) -> dict[str, Any]:
    """Return the arguments of `generate_presigned_url`."""
    params = {
        "Bucket": BUCKET,
        "Key": KEY,
        "UploadId": MULTIPART_ID,
        "PartNumber": number,
        "ContentLength": PART_BYTES,
    }
    return {"ClientMethod": "upload_part", "Params": params, "ExpiresIn": LIFETIME_SECONDS}


def with_botocore(client: Any) -> Sign:
    async def sign(numbers: range) -> list[str]:
        return [client.generate_presigned_url(**call(number)) for number in numbers]

    return sign


def with_aiobotocore(client: Any) -> Sign:
    async def sign(numbers: range) -> list[str]:
        return [await client.generate_presigned_url(**call(number)) for number in numbers]

    return sign


async def equal(signers: Sequence[Sign]) -> bool:
    """Return whether all signers make the same URLs for a sample, within one second."""
    for _ in range(5):
        second = int(time.time())
        samples = [await sign(range(1, PARTS + 1, PARTS // 50)) for sign in signers]
        if int(time.time()) == second:
            return all(sample == samples[0] for sample in samples)
    raise RuntimeError("a sample takes more than a second to sign")


async def seconds(sign: Sign) -> float:
    began = time.perf_counter()
    urls = await sign(range(1, PARTS + 1))
    took = time.perf_counter() - began
    assert len(urls) == PARTS
    return took


def processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    models = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(models, platform.processor() or platform.machine())


def spread(figures: Sequence[float], digits: int = 1) -> dict[str, float]:
    return {
        "min": round(min(figures), digits),
        "median": round(statistics.median(figures), digits),
        "max": round(max(figures), digits),
    }


async def measure(signers: dict[str, Sign]) -> dict[str, list[float]]:
    """Return URLs per second for each signer in each round."""
    rates: dict[str, list[float]] = {name: [] for name in signers}
    for _ in range(ROUNDS):
        for name, sign in signers.items():
            rates[name].append(PARTS / await seconds(sign))
    return rates


def report(rates: dict[str, list[float]]) -> dict[str, Any]:
    """Print the table and return its figures."""
    found: dict[str, Any] = {}
    print(f"{'':24}{'URLs/s, median':>16}{'min':>10}{'max':>10}{'us/URL':>10}  ratio (min-max)")
    for name, figures in rates.items():
        rate = spread(figures)
        ratio = spread([a / b for a, b in zip(figures, rates["botocore"], strict=True)])
        found[name] = {"urls_per_second": rate, "ratio_to_botocore": ratio}
        print(
            f"{name:24}{rate['median']:>16,.0f}{rate['min']:>10,.0f}{rate['max']:>10,.0f}"
            f"{1e6 / rate['median']:>10.1f}"
            f"  {ratio['median']:.1f} ({ratio['min']:.1f}-{ratio['max']:.1f})"
        )
    return found


async def main() -> int:
    machine = {
        "cpu": processor(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "botocore": botocore.__version__,
        "aiobotocore": aiobotocore.__version__,
    }
    print(", ".join(f"{name} {value}" for name, value in machine.items()))
    print(f"{PARTS:,} part URLs, {ROUNDS} rounds, one core; ratios to botocore in the same round")
    client = Session().create_client("s3", config=Config(**SETTINGS), **CLIENT)
    async with AioSession().create_client("s3", config=AioConfig(**SETTINGS), **CLIENT) as aio:
        signers: dict[str, Sign] = {
            "partway, of_size": ours,
            "partway, url": ours_one_by_one,
            "botocore": with_botocore(client),
            "aiobotocore": with_aiobotocore(aio),
        }
        if not await equal(list(signers.values())):
            print("the URLs are not equal", file=sys.stderr)
            return 1
        found = report(await measure(signers))
    ratio = found["partway, of_size"]["ratio_to_botocore"]
    print(json.dumps({"bench": "presign", "ratio": ratio, "machine": machine, "signers": found}))
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
