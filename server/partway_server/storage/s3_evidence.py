"""Whether an answer is S3's: a proxy or a load balancer in front of storage may send its own.

What is not an S3 answer says nothing about an upload. An error has S3's document, a result its own;
HEAD and DELETE have neither, so that only headers can show who answered.
"""

from collections.abc import Mapping

_PREFIXES = ("x-amz-", "x-goog-", "x-guploader-")
"""Of headers of S3 stores, x-amz-request-id first. Google's have names of their own
(https://cloud.google.com/storage/docs/xml-api/reference-headers)."""

_OF_OTHERS = ("x-amz-apigw-", "x-amz-cf-", "x-amz-err-")
"""Headers of a CDN or gateway, on its own error pages too
(https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/RequestAndResponseBehaviorCustomOrigin.html).
"""


def has_s3_header(headers: Mapping[str, str]) -> bool:
    """Return whether a header, with its name in lower case, is one that only a store sends."""
    return any(name.startswith(_PREFIXES) and not name.startswith(_OF_OTHERS) for name in headers)


def is_bodiless_answer(headers: Mapping[str, str]) -> bool:
    """Return whether an answer without a body of S3's is a store's nevertheless.

    Not if it is a page: a bucket that is served as a web site has S3's headers, too.
    """
    return has_s3_header(headers) and not is_page(headers)


def is_page(headers: Mapping[str, str]) -> bool:
    """Return whether the body is a page of HTML."""
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    return kind in ("text/html", "application/xhtml+xml")
