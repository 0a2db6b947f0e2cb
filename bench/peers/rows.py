"""The rows of the comparison, and what Partway aims at in each."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Row:
    """One figure of each peer. `experiment` is what measures it."""

    name: str
    title: str
    experiment: str
    aim: float
    most: bool = False
    """Whether more is better."""
    digits: int = 1

    def met(self, figure: float) -> bool:
        return figure >= self.aim if self.most else figure <= self.aim

    @property
    def aim_text(self) -> str:
        return f"{'at least' if self.most else 'at most'} {self.aim:g}"


ROWS = {
    row.name: row
    for row in (
        Row("urls_wall", "10,000 URLs, wall ms", "urls", 30),
        Row("url_cpu", "CPU of a URL, us", "urls", 3),
        Row("url_crc64_cpu", "CPU of a URL with CRC64, us", "urls_crc64", 5),
        Row("urls_others", "others' p99 meanwhile, ms", "urls_beside", 3),
        Row("upload_1", "whole upload of 1 part, CPU ms", "upload_1", 2.5, digits=2),
        Row("upload_100", "of 100 parts, CPU ms", "upload_100", 4, digits=2),
        Row("upload_1000", "of 1,000 parts, CPU ms", "upload_1000", 12),
        Row("initialize", "Initialize, CPU ms", "initialize", 1, digits=2),
        Row("complete_100", "Complete of 100, CPU ms", "complete_100", 2, digits=2),
        Row("complete_10000", "Complete of 10,000, CPU ms", "complete_10000", 60),
        Row("complete_others", "others' p99 during Completes, ms", "complete_beside", 20),
        Row("rate_1", "1-part uploads a second of CPU, 8 callers", "rate_1", 400, True, 0),
        Row("bytes", "kB through the service, 500 MB in 100 parts", "counts", 25),
        Row("s3_calls", "S3 calls of an upload of 100 parts", "counts", 4, digits=0),
        Row("redis_trips", "Redis round trips of it", "counts", 4, digits=0),
        Row("redis_bytes", "bytes of Redis for an open upload", "counts", 1000, digits=0),
    )
}
