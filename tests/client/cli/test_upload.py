"""Tests `partway` as a process: its output, its exit code, and what it leaves behind."""

import asyncio
import json
import os
import signal
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner
from partway.v1 import upload_pb2 as pb
from partway_client import TransferFailed, UploadClient
from partway_client.cli.main import main

from tests.client.command import Partway, ended
from tests.client.files import content, names
from tests.client.pacing import until
from tests.client.service import Failure, Service
from tests.client.storage import Storage, answering, waiting

MEASURED = """
import sys
from partway_client.cli.main import main
try:
    main()
finally:
    with open("/proc/self/status") as status:
        print(*(line.split()[1] for line in status if line[:5] == "VmHWM"), file=sys.stderr)
"""
"""The command, and then how many KiB it had at most."""


@pytest.fixture
def partway(service: Service, state_dir: Path) -> Partway:
    return Partway(service, state_dir)


async def stopped(
    client: UploadClient, service: Service, storage: Storage, movie: Path
) -> pb.Upload:
    """Stop an upload of which storage has two parts."""
    storage.fail(3, answering(400))
    with pytest.raises(TransferFailed):
        await client.upload_file(movie, concurrency=1)
    return service.only()


async def test_upload_prints_the_uri_and_nothing_else_on_stdout(
    partway: Partway, service: Service, storage: Storage, movie: Path
) -> None:
    done = await partway.run("upload", movie)

    assert (done.code, done.stdout) == (0, "s3://bucket/files/movie.mp4\n")
    assert storage.bytes_of(service.only().id) == content(movie)
    assert "movie.mp4: sending 589.8 kB\n" in done.stderr


async def test_json_is_one_object_for_each_file(
    partway: Partway, movie: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    other.touch()

    done = await partway.run("upload", "--json", movie, other)

    first, second = done.results
    assert (first["file"], first["parts"], first["parts_sent"]) == (str(movie), 10, 10)
    assert first["uri"] == "s3://bucket/files/movie.mp4"
    assert (second["file"], second["size_bytes"]) == (str(other), 0)


async def test_other_files_go_on_after_a_failure(
    partway: Partway, service: Service, movie: Path, tmp_path: Path
) -> None:
    done = await partway.run("upload", "--json", tmp_path / "gone", movie)

    failed, uploaded = done.results
    assert done.code == 1
    assert failed["error"] == "FileUnreadable"
    assert uploaded["etag"] == "final"
    assert "partway: gone: cannot read" in done.stderr
    assert "Traceback" not in done.stderr


async def test_a_killed_upload_goes_on_where_it_was(
    partway: Partway, service: Service, storage: Storage, movie: Path
) -> None:
    storage.fail(7, waiting(storage.finished))
    process = await partway.start("upload", "--concurrency", "1", movie)
    await until(lambda: 7 in storage.numbers_put())
    process.kill()
    assert (await ended(process)).code == -signal.SIGKILL
    storage.puts.clear()

    done = await partway.run("upload", "--json", movie)

    [printed] = done.results
    assert (printed["parts_resumed"], printed["parts_sent"]) == (6, 4)
    assert sorted(storage.numbers_put()) == [7, 8, 9, 10]
    assert storage.bytes_of(service.only().id) == content(movie)
    assert names(partway.state_dir) == []


async def test_no_resume_begins_anew(
    partway: Partway, service: Service, storage: Storage, movie: Path
) -> None:
    storage.fail(7, answering(400))
    assert (await partway.run("upload", "--concurrency", "1", movie)).code == 1

    done = await partway.run("upload", "--no-resume", "--json", movie)

    assert done.results[0]["parts_sent"] == 10
    assert len(service.uploads) == 2


async def test_ctrl_c_stops_at_once_and_says_how_to_go_on(
    partway: Partway, storage: Storage, movie: Path
) -> None:
    storage.fail(0, *[waiting(storage.finished)] * 10)
    process = await partway.start("upload", movie)
    await until(lambda: storage.open_puts == 8)

    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    done = await ended(process)

    assert done.code == 130
    assert done.stderr.endswith("partway: stopped; the same command resumes the upload\n")
    assert "Traceback" not in done.stderr
    assert time.monotonic() - began < 20


async def test_ctrl_c_does_not_wait_for_a_silent_pipe(partway: Partway) -> None:
    reading, writing = os.pipe()
    process = await partway.start("upload", "-", stdin=reading)
    assert process.stderr is not None
    assert b"copying the stream" in await process.stderr.readline()

    process.send_signal(signal.SIGINT)
    done = await ended(process)

    os.close(reading)
    os.close(writing)
    assert done.code == 130
    assert "Traceback" not in done.stderr and "Fatal" not in done.stderr


async def test_a_pipe_is_copied_first_and_then_sent(
    partway: Partway, service: Service, storage: Storage
) -> None:
    whole = os.urandom(300_000)

    done = await partway.run("upload", "--name", "dump.sql", "-", content=whole)

    assert done.stdout == "s3://bucket/files/dump.sql\n"
    assert "dump.sql: copying the stream to disk first\n" in done.stderr
    assert storage.bytes_of(service.only().id) == whole


async def test_a_redirected_file_is_sent_as_it_is(
    partway: Partway, service: Service, storage: Storage, movie: Path
) -> None:
    descriptor = os.open(movie, os.O_RDONLY)
    os.lseek(descriptor, 1000, os.SEEK_SET)

    done = await partway.run("upload", "-", stdin=descriptor)

    os.close(descriptor)
    assert done.stdout == "s3://bucket/files/stdin\n"
    assert "copying" not in done.stderr
    assert storage.bytes_of(service.only().id) == content(movie)[1000:]


async def test_options_reach_the_service(partway: Partway, service: Service, movie: Path) -> None:
    arguments = ["--policy", "films", "--part-size", "1MiB", "--content-type", "video/x-film"]
    arguments += ["--metadata", "year=1927", "--metadata", "by=x=y", "--name", "film.bin"]
    arguments += ["--tenant", "acme", "--subject", "ann", "--header", "x-trace=1"]

    done = await partway.run("upload", *arguments, movie)

    assert done.code == 0
    (request,) = service.requests("Initialize")
    assert (request.policy, request.part_size_bytes) == ("films", 1024 * 1024)
    assert (request.content_type, request.file_name) == ("video/x-film", "film.bin")
    assert dict(request.metadata) == {"year": "1927", "by": "x=y"}
    sent = service.metadata[0]
    assert (sent["partway-tenant"], sent["partway-subject"]) == ("acme", "ann")
    assert sent["x-trace"] == "1"


@pytest.mark.parametrize(
    "arguments",
    [
        ["upload"],
        ["upload", "--part-size", "lots", "file"],
        ["upload", "--metadata", "nothing", "file"],
        ["upload", "--metadata", "a=1", "--metadata", "a=2", "file"],
        ["upload", "--metadata", os.fsdecode(b"a=\xff"), "file"],
        ["upload", "--concurrency", "0", "file"],
        ["upload", "--name", "x", "one", "two"],
        ["list", "--state", "sleeping"],
        ["download"],
    ],
)
def test_what_is_not_understood_ends_with_2(arguments: list[str]) -> None:
    done = CliRunner().invoke(main, arguments)

    assert (done.exit_code, done.stdout) == (2, "")


def test_the_help_names_folders_resuming_and_what_follows_the_line() -> None:
    words = " ".join(CliRunner().invoke(main, ["upload", "--help"]).stdout.split())

    assert "is resumed by the same command, also on another machine" in words
    assert "How many are sent follows the line" in words
    assert "By default it follows the line" in words
    assert "PARTWAY_PART_SIZE" in words and "--token-command" in words
    assert "or, with --recursive, a folder" in words
    assert "130 stopped by Ctrl-C" in words
    for option in ("retries", "parallel-files", "skip-existing", "delete-after", "log-file"):
        assert f"--{option} " in words


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ["--tenant", "m\u00fcller"],
            "the value of call metadata 'partway-tenant' must be print",
        ),
        (["--tenant", os.fsdecode(b"\xff")], "the value of call metadata 'partway-tenant' must be"),
        (["--header", "Bad Key=1"], "call metadata key 'bad key' is invalid"),
        (["--header", "trace-bin=1"], "call metadata key 'trace-bin' is invalid"),
    ],
)
async def test_what_no_call_can_carry_is_one_line(
    partway: Partway, service: Service, arguments: list[str], said: str
) -> None:
    done = await partway.run("list", *arguments)

    assert (done.code, done.stdout, len(done.stderr.splitlines())) == (2, "", 1)
    assert done.stderr.startswith(f"partway: {said}")
    assert service.calls == []


async def test_a_service_that_is_not_there_is_told_in_one_line(
    partway: Partway, service: Service
) -> None:
    done = await partway.run("status", "--server", "127.0.0.1:9", "any")

    assert done.code == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("partway: no answer from the service at 127.0.0.1:9")


async def test_an_error_of_the_service_is_one_line(
    partway: Partway, service: Service, movie: Path
) -> None:
    service.fail(
        "Initialize", Failure("INVALID_ARGUMENT", "INVALID_REQUEST", message="size_bytes: too big")
    )

    done = await partway.run("upload", movie)

    assert (done.code, done.stdout) == (1, "")
    assert done.stderr.splitlines()[1:] == ["partway: movie.mp4: size_bytes: too big"]


async def test_a_state_directory_that_cannot_be_made_is_one_line(
    service: Service, tmp_path: Path, movie: Path
) -> None:
    done = await Partway(service, Path("/dev/null/state")).run("upload", movie)

    assert done.code == 0
    warnings = [line for line in done.stderr.splitlines() if line.startswith("partway: ")]
    assert len(warnings) == 1
    assert "uploads cannot be remembered (Not a directory)" in warnings[0]


async def test_status_parts_list_and_abort_speak_of_an_upload(
    partway: Partway, client: UploadClient, service: Service, storage: Storage, movie: Path
) -> None:
    upload = await stopped(client, service, storage, movie)

    status, parts, listed = await asyncio.gather(
        partway.run("status", upload.id),
        partway.run("parts", upload.id),
        partway.run("list", "--state", "active", "--fingerprint", upload.fingerprint),
    )
    aborted = await partway.run("abort", upload.id)

    assert "2 of 10 parts are stored, 131.1 kB of 589.8 kB" in status.stdout
    assert parts.stdout == "1\t65536\te1\n2\t65536\te2\n"
    assert f"  {upload.id}\n" in listed.stdout
    assert aborted.stdout.startswith("aborted (requested)")
    assert upload.state == pb.UPLOAD_STATE_ABORTED


async def test_all_of_them_speak_json(
    partway: Partway, client: UploadClient, service: Service, storage: Storage, movie: Path
) -> None:
    upload = await stopped(client, service, storage, movie)

    status, parts, listed = await asyncio.gather(
        partway.run("status", "--json", upload.id),
        partway.run("parts", "--json", upload.id),
        partway.run("list", "--json"),
    )
    aborted = await partway.run("abort", "--json", upload.id)

    printed = json.loads(status.stdout)
    assert (printed["state"], printed["progress"]["parts_stored"]) == ("active", 2)
    assert printed["create_time"].endswith("Z")
    assert json.loads(parts.stdout.splitlines()[1]) == {
        "part_number": 2,
        "size_bytes": 65536,
        "etag": "e2",
        "checksum": "",
    }
    assert json.loads(listed.stdout)["upload_id"] == upload.id
    assert json.loads(aborted.stdout)["abort_reason"] == "requested"


async def test_usage_is_a_table_or_json(partway: Partway) -> None:
    shown, printed = await asyncio.gather(partway.run("usage"), partway.run("usage", "--json"))

    assert shown.stdout == (
        "limit         tenant  of at most      you  of at most\n"
        "open_uploads      12       10000        1           -\n"
        "open_bytes    5.0 GB           -  0 bytes      7.0 MB\n"
    )
    assert json.loads(printed.stdout)["tenant"][0] == {
        "limit": "open_uploads",
        "used": 12,
        "maximum": 10_000,
    }


async def test_capabilities_are_text_or_json(partway: Partway) -> None:
    shown, printed = await asyncio.gather(
        partway.run("capabilities"), partway.run("capabilities", "--json")
    )

    assert shown.stdout == (
        "version 1.2.3\n"
        "at most 100 uploads and 1,000 parts in one call, and 32 objects to compose\n"
        "\n"
        "policy photos\n"
        "  size                 1 byte to 5.0 MB\n"
        "  content types        image/*\n"
        "  extensions           jpg: image/jpeg\n"
        "  required metadata    album\n"
        "  checksums            sha256, none\n"
        "  by default           none\n"
        "  part size            1.0 kB to 3.0 kB, by default 2.0 kB\n"
        "  one PUT              up to 1.0 kB\n"
        "  deadline             1 day, at most 36 hours if extended\n"
        "  URLs work for        15 minutes, at most 905 seconds if asked for\n"
        "  through the service  no\n"
    )
    [policy] = json.loads(printed.stdout)["policies"]
    assert (policy["name"], policy["extensions"]) == ("photos", {"jpg": ["image/jpeg"]})
    assert policy["default_checksum"] == "none"


async def test_extend_prints_the_new_deadline_and_the_new_id(
    partway: Partway, client: UploadClient, service: Service, storage: Storage, movie: Path
) -> None:
    upload = await stopped(client, service, storage, movie)

    done = await partway.run("extend", upload.id, "--until", "2099-01-01T12:30")
    refused = await partway.run("extend", upload.id)

    first, deadline, new_id = done.stdout.splitlines()
    assert first.startswith("active  ")
    assert (deadline, new_id) == ("expires 2099-01-01 12:30:00 UTC", f"  {upload.id}-extended")
    assert refused.code == 2


@pytest.mark.parametrize(
    "command",
    [
        *("", "upload", "status", "parts", "extend", "abort", "list", "watch", "usage"),
        "capabilities",
    ],
)
def test_every_command_has_help(command: str) -> None:
    done = CliRunner().invoke(main, [*command.split(), "--help"])

    assert done.exit_code == 0
    assert "Usage: " in done.stdout


async def test_nothing_says_a_url_or_an_id(
    partway: Partway, service: Service, storage: Storage, movie: Path
) -> None:
    storage.fail(3, answering(400))

    done = await partway.run("upload", movie)

    assert "X-Amz" not in done.stdout + done.stderr
    assert service.only().id not in done.stdout + done.stderr


async def test_memory_does_not_grow_with_the_file(
    service: Service, storage: Storage, state_dir: Path, tmp_path: Path
) -> None:
    measured = Partway(service, state_dir, MEASURED)
    storage.keep_bytes = False
    service.part_size = 16 * 1024 * 1024
    small, big = tmp_path / "small", tmp_path / "big"
    small.touch()
    os.close(os.open(big, os.O_CREAT | os.O_WRONLY))
    os.truncate(big, 512 * 1024 * 1024)

    base = await measured.run("upload", small)
    peak = await measured.run("upload", big)

    assert (base.code, peak.code) == (0, 0)
    grown_kib = int(peak.stderr.splitlines()[-1]) - int(base.stderr.splitlines()[-1])
    assert grown_kib < 24 * 1024
    assert int(peak.stderr.splitlines()[-1]) < 120 * 1024


async def test_a_terminal_gets_a_bar(partway: Partway, service: Service, movie: Path) -> None:
    leader, follower = os.openpty()
    process = await asyncio.create_subprocess_exec(
        "/usr/bin/env",
        f"PARTWAY_SERVER={service.address}",
        f"PARTWAY_STATE_DIR={partway.state_dir}",
        "TERM=xterm",
        sys.executable,
        "-c",
        partway.main,
        "upload",
        movie,
        stdin=follower,
        stdout=asyncio.subprocess.PIPE,
        stderr=follower,
    )
    os.close(follower)
    stdout, _ = await process.communicate()
    shown = os.read(leader, 100_000).decode()
    os.close(leader)

    assert stdout == b"s3://bucket/files/movie.mp4\n"
    assert "589.8/589.8 kB" in shown
