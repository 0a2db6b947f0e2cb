"""Runs Ceph's object gateway over a monitor and one OSD that keeps everything in memory.

The programs are Debian's: ceph-mon, ceph-osd and radosgw. It uses loopback only, without systemd
or root; the steps are those of
https://docs.ceph.com/en/pacific/install/manual-deployment/, for one machine.
"""

import contextlib
import json
import shutil
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

from partway_server.devstack.servers import S3, answers
from partway_server.runtime.subprocesses import Child, ChildError, free_port

_PROGRAMS = ("ceph", "ceph-authtool", "ceph-mon", "ceph-osd", "monmaptool", "radosgw")
_SECONDS = 60.0
"""A command of Ceph's waits for its monitor, and gives up after that."""


@contextlib.contextmanager
def running_rgw(folder: Path) -> Iterator[S3]:
    """Run the gateway with a user and no bucket, its files in `folder`. Raises ChildError."""
    missing = [name for name in _PROGRAMS if shutil.which(name) is None]
    if missing:
        raise ChildError(
            f"{', '.join(missing)} not found; on Debian: apt-get install ceph-mon ceph-osd radosgw"
        )
    monitor_port, gateway_port = free_port(), free_port()
    s3 = S3(f"http://127.0.0.1:{gateway_port}", "us-east-1", "partway", "a-secret", "partway")
    conf, fsid = folder / "ceph.conf", str(uuid.uuid4())
    conf.write_text(_conf(folder, fsid, monitor_port, gateway_port))
    with contextlib.ExitStack() as running:
        _make_monitor(folder, fsid, monitor_port)
        running.enter_context(_daemon(folder, "ceph-mon", "-i", "a"))
        osd = _make_osd(folder)
        words = ["-i", osd, "--keyring", str(folder / "osd/keyring")]
        store = running.enter_context(_daemon(folder, "ceph-osd", *words))
        store.wait(lambda: '"num_up_osds":1' in _ceph(folder, "osd", "stat", "--format=json"))
        gateway = running.enter_context(_daemon(folder, "radosgw", "-n", "client.rgw"))
        # It makes its pools first.
        gateway.wait(lambda: answers(gateway_port, "/") is not None, seconds=_SECONDS)
        _make_user(folder, s3)
        yield s3


def _conf(folder: Path, fsid: str, monitor_port: int, gateway_port: int) -> str:
    return f"""\
[global]
fsid = {fsid}
mon host = [v2:127.0.0.1:{monitor_port}]
public addr = 127.0.0.1
cluster addr = 127.0.0.1
ms bind ipv6 = false
auth cluster required = cephx
auth service required = cephx
auth client required = cephx
keyring = {folder}/keyring
run dir = {folder}
admin socket = {folder}/$name.asok
log file = {folder}/$name.log
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 8
osd crush chooseleaf type = 0
mon max pg per osd = 1000
mon allow pool size one = true
[mon]
mon data = {folder}/mon
[osd]
osd data = {folder}/osd
osd objectstore = memstore
memstore device bytes = 4294967296
[client.rgw]
rgw frontends = beast endpoint=127.0.0.1:{gateway_port}
"""


def _make_monitor(folder: Path, fsid: str, port: int) -> None:
    keyring, monmap = folder / "keyring", folder / "monmap"
    allowed = {
        "mon.": {"mon": "allow *"},
        "client.admin": {"mon": "allow *", "osd": "allow *"},
        "client.rgw": {"mon": "allow rw", "osd": "allow rwx"},
    }
    for name, caps in allowed.items():
        words = [word for on, what in caps.items() for word in ("--cap", on, what)]
        create = [] if keyring.exists() else ["--create-keyring"]
        _run(folder, "ceph-authtool", *create, str(keyring), "--gen-key", "-n", name, *words)
    address = f"[v2:127.0.0.1:{port}]"
    _run(folder, "monmaptool", "--create", "--addv", "a", address, "--fsid", fsid, str(monmap))
    words = ["--mkfs", "-i", "a", "--monmap", str(monmap), "--keyring", str(keyring)]
    _run(folder, "ceph-mon", "-c", str(folder / "ceph.conf"), *words)


def _make_osd(folder: Path) -> str:
    """Make an OSD, register it with the monitor, and return its number."""
    (folder / "osd").mkdir()
    key = _run(folder, "ceph-authtool", "--gen-print-key").strip()
    secret, identity = folder / "osd.json", str(uuid.uuid4())
    secret.write_text(json.dumps({"cephx_secret": key}))
    number = _ceph(folder, "osd", "new", identity, "-i", str(secret)).strip()
    (folder / "osd/keyring").write_text(f"[osd.{number}]\n\tkey = {key}\n")
    words = ["-i", number, "--mkfs", "--key", key, "--osd-uuid", identity]
    _run(folder, "ceph-osd", "-c", str(folder / "ceph.conf"), *words)
    place = ["root=default", "host=localhost"]
    _ceph(folder, "osd", "crush", "add", f"osd.{number}", "1.0", *place)
    return number


def _make_user(folder: Path, s3: S3) -> None:
    keys = ["--access-key", s3.access_key, "--secret-key", s3.secret_key]
    words = ["user", "create", "--uid", "partway", "--display-name", "partway", *keys]
    _run(folder, "radosgw-admin", "-c", str(folder / "ceph.conf"), *words)


def _daemon(folder: Path, program: str, *words: str) -> Child:
    command = [program, "-f", "-c", str(folder / "ceph.conf"), *words]
    # Nothing is kept, so nothing has to be put in order at the end.
    return Child(program, command, log=folder / f"{program}.out", patience=0)


def _ceph(folder: Path, *words: str) -> str:
    limit = f"--connect-timeout={_SECONDS:.0f}"
    return _run(folder, "ceph", "-c", str(folder / "ceph.conf"), limit, *words)


def _run(folder: Path, *command: str) -> str:
    """Return the output of a command. Raises ChildError with the output if it fails."""
    try:
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, timeout=_SECONDS, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise ChildError(f"{command[0]} did not end in {_SECONDS:.0f} s") from error
    if done.returncode != 0:
        raise ChildError(f"{command[0]} ended with code {done.returncode}: {done.stderr[-500:]}")
    return done.stdout
