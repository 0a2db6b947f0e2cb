"""Check that protobuf decodes in native code.

Its pure-Python implementation is a fallback for machines without a wheel. It is slow by a factor of
tens, and has had unbounded recursion where the native one has not (CVE-2025-4565).
"""

from google.protobuf.internal import api_implementation


def protobuf_problem() -> str:
    """Return what is wrong with the installed protobuf, in words for an operator, or ""."""
    if api_implementation.Type() != "python":
        return ""
    return (
        "protobuf runs in pure Python, which is slow and less safe; install a wheel of it for this"
        " platform, and unset PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION"
    )
