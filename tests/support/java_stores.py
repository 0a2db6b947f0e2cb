"""Runs the S3 servers that Java runs: S3Proxy and Adobe's S3Mock.

`make store-tools` fetches them, at the versions of requirements/stores/pom.xml.
"""

import shutil
from pathlib import Path

from partway_server.devstack.servers import S3, answers
from partway_server.runtime.subprocesses import Child, ChildError, free_port

from tests.support.go_stores import TOOLS

_QUICK = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")
"""They halve what a start takes of the processor."""


def start_s3proxy(folder: Path) -> tuple[Child, S3]:
    """Run S3Proxy over a folder of files, without a bucket. Raises ChildError."""
    port = free_port()
    s3 = S3(f"http://127.0.0.1:{port}", "us-east-1", "partway", "a-secret", "partway")
    (folder / "data").mkdir()
    settings = {
        "s3proxy.endpoint": s3.endpoint,
        "s3proxy.authorization": "aws-v2-or-v4",
        "s3proxy.identity": s3.access_key,
        "s3proxy.credential": s3.secret_key,
        "jclouds.provider": "filesystem",
        "jclouds.filesystem.basedir": str(folder / "data"),
    }
    conf = folder / "s3proxy.conf"
    conf.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
    # Without this, it logs each byte of its connections.
    quiet = folder / "logback.xml"
    quiet.write_text('<configuration><root level="WARN"/></configuration>')
    jars = ["-cp", f"{TOOLS}/java/*", f"-Dlogback.configurationFile={quiet}"]
    words = [*jars, "org.gaul.s3proxy.Main", "--properties", str(conf)]
    return _started("s3proxy", words, folder, port), s3


def start_s3mock(folder: Path) -> tuple[Child, S3]:
    """Run S3Mock without a bucket; it takes any keys. Raises ChildError."""
    port = free_port()
    s3 = S3(f"http://127.0.0.1:{port}", "us-east-1", "partway", "a-secret", "partway")
    settings = {
        "com.adobe.testing.s3mock.httpPort": port,
        "server.address": "127.0.0.1",
        "spring.main.lazy-initialization": "true",
        # That of HTTPS, which has no use here: any free one.
        "server.port": 0,
    }
    jar = next(iter(TOOLS.glob("java/s3mock-*-exec.jar")), TOOLS / "java")
    # There it makes a folder of its own.
    there = f"-Djava.io.tmpdir={folder}"
    words = [there, "-jar", str(jar), *(f"--{name}={value}" for name, value in settings.items())]
    return _started("s3mock", words, folder, port), s3


def _started(name: str, words: list[str], folder: Path, port: int) -> Child:
    if shutil.which("java") is None or not (TOOLS / "java").exists():
        raise ChildError(f"Java or {name} is not there: run `make store-tools`")
    command: list[str | Path] = ["java", *_QUICK, *words]
    child = Child(name, command, log=folder / f"{name}.log")
    child.wait(lambda: answers(port, "/") is not None, seconds=120)
    return child
