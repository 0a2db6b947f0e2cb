"""Tests `make audit`: a finding fails, a source that cannot be reached is not taken for none."""

import json

import pytest

from tests.contract.audit import Output, audit, verdict

CLEAN = {"name": "aiohttp", "version": "3.14.5", "vulns": []}
UNKNOWN = {"name": "msgpack", "skip_reason": "Dependency not found on PyPI"}
BAD = {
    "name": "redis",
    "version": "1.0",
    "vulns": [{"id": "PYSEC-1", "fix_versions": ["1.1"]}, {"id": "PYSEC-2", "fix_versions": []}],
}
UNREACHABLE = "requests.exceptions.ProxyError: HTTPSConnectionPool(...)"


def printed(*packages: object) -> Output:
    return Output(json.dumps({"dependencies": packages}), "")


def test_each_finding_is_a_line_and_fails() -> None:
    code, lines = verdict("a.txt", printed(CLEAN, BAD))
    assert code == 1
    assert lines == [
        "redis 1.0: PYSEC-1, fixed in 1.1",
        "redis 1.0: PYSEC-2, fixed in no version",
        "a.txt: 2 packages audited, 2 known vulnerabilities",
    ]


def test_without_a_finding_what_was_not_audited_is_named() -> None:
    code, lines = verdict("a.txt", printed(CLEAN, UNKNOWN))
    assert code == 0
    assert lines == ["not audited: msgpack", "a.txt: 1 packages audited, 0 known vulnerabilities"]


@pytest.mark.parametrize(
    "output", [printed(UNKNOWN, UNKNOWN), Output("", f"Traceback ...\n{UNREACHABLE}")]
)
def test_a_source_that_knows_nothing_is_said_to_be_skipped(output: Output) -> None:
    code, [line] = verdict("a.txt", output)
    assert code == 0 and line.startswith("skipped: a.txt: the source of advisories ")


@pytest.mark.parametrize(
    "output", [Output("", "ERROR: hash mismatch"), Output("", ""), printed(), Output("[]", "x")]
)
def test_an_audit_that_fails_otherwise_is_a_failure(output: Output) -> None:
    code, [line] = verdict("a.txt", output)
    assert code == 1 and line.startswith("failed: a.txt: ")


def test_one_file_with_a_finding_is_enough(capsys: pytest.CaptureFixture[str]) -> None:
    outputs = {"a.txt": printed(BAD), "b.txt": printed(CLEAN)}
    assert audit(["a.txt", "b.txt"], outputs.__getitem__) == 1
    assert audit(["b.txt"], outputs.__getitem__) == 0
    assert "b.txt: 1 packages audited" in capsys.readouterr().out
