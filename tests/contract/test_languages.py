"""Tests that other languages' code is generated from the protos as they are, and compiles.

`make test-languages` runs this, after `make tools` has installed the generators.
"""

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Mapping
from importlib import resources
from pathlib import Path

import pytest

pytestmark = [pytest.mark.languages, pytest.mark.slow, pytest.mark.timeout(600)]

ROOT = Path(__file__).parents[2]
PROTO = ROOT / "proto"
TOOLS = ROOT / ".tools"
TYPESCRIPT = ROOT / "examples/typescript"
GO_MODULE = "github.com/partway/partway/gen/go"
ES = TYPESCRIPT / "node_modules/.bin/protoc-gen-es"
GRPC_JAVA = "protoc-gen-grpc-java"

# What protoc brings with it, beside its program: google/protobuf/*.proto.
WELL_KNOWN = str(resources.files("grpc_tools").joinpath("_proto"))

OURS = sorted(str(path.relative_to(PROTO)) for path in PROTO.glob("partway/v1/*.proto"))
ALL = sorted(str(path.relative_to(PROTO)) for path in PROTO.rglob("*.proto"))

EXPECTED: Mapping[str, tuple[str, ...]] = {
    "go": (
        f"{GO_MODULE}/partway/v1/upload.pb.go",
        f"{GO_MODULE}/partway/v1/upload_service_grpc.pb.go",
    ),
    "es": ("partway/v1/upload_pb.ts", "partway/v1/upload_service_pb.ts"),
    "java": (
        "com/partway/v1/InitializeRequest.java",
        "com/partway/v1/UploadServiceGrpc.java",
    ),
    # Of C#, the messages: its plugin for gRPC comes with NuGet alone.
    "csharp": ("UploadService.cs", "ErrorReason.cs"),
    "php": ("Partway/V1/InitializeRequest.php",),
    "ruby": ("partway/v1/upload_service_pb.rb",),
}
"""Files of each language, to see that they are where its users look for them."""


def run(*command: str | Path, cwd: Path = ROOT) -> None:
    """Run a command with our tools in front; fail with what it printed."""
    path = f"{TOOLS / 'bin'}:{ROOT / '.venv/bin'}:{os.environ['PATH']}"
    done = subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def from_maven(name: str) -> str:
    """Return a program that Maven delivers under a longer name, made executable."""
    [found] = (TOOLS / "java").glob(f"{name}-[0-9]*.exe")
    found.chmod(0o755)
    return str(found)


def by_protoc(out: Path, language: str) -> None:
    """Generate with protoc alone."""
    options = {
        "go": [f"--go_out={out}", f"--go-grpc_out={out}"],
        "es": [f"--plugin={ES}", f"--es_out={out}", "--es_opt=target=ts"],
        "java": [
            f"--java_out={out}",
            f"--plugin={GRPC_JAVA}={from_maven(GRPC_JAVA)}",
            f"--grpc-java_out={out}",
        ],
    }.get(language, [f"--{language}_out={out}"])
    # The generated TypeScript imports what is generated from google/; others have a package of it.
    run(
        from_maven("protoc"),
        "-I",
        PROTO,
        "-I",
        WELL_KNOWN,
        *options,
        *(ALL if language == "es" else OURS),
    )


def by_buf(out: Path, language: str) -> None:
    """Generate with buf, and no option but where to write."""
    protoc = from_maven("protoc")
    local: Mapping[str, list[dict[str, object]]] = {
        "go": [{"local": "protoc-gen-go"}, {"local": "protoc-gen-go-grpc"}],
        "es": [{"local": str(ES), "opt": "target=ts", "include_imports": True}],
        "java": [
            {"protoc_builtin": "java", "protoc_path": protoc},
            {"local": from_maven(GRPC_JAVA)},
        ],
    }
    builtin: list[dict[str, object]] = [{"protoc_builtin": language, "protoc_path": protoc}]
    plugins = [{**each, "out": str(out)} for each in local.get(language, builtin)]
    template = json.dumps({"version": "v2", "plugins": plugins})
    run("buf", "generate", "--template", template, "--path", "proto/partway")


Generate = Callable[[Path, str], None]


@pytest.fixture(params=[by_protoc, by_buf], ids=["protoc", "buf"])
def generate(request: pytest.FixtureRequest) -> Generate:
    chosen: Generate = request.param
    return chosen


@pytest.mark.parametrize("language", EXPECTED)
def test_the_protos_generate_as_they_are(language: str, generate: Generate, tmp_path: Path) -> None:
    generate(tmp_path, language)
    for name in EXPECTED[language]:
        assert (tmp_path / name).stat().st_size > 0
    COMPILED.get(language, lambda _: None)(tmp_path)


def compile_go(out: Path) -> None:
    package = out / GO_MODULE
    for name in ("go.mod", "go.sum"):
        shutil.copy(ROOT / "examples/go/stubs" / name, package)
    run("go", "vet", "./...", cwd=package)


def compile_typescript(out: Path) -> None:
    (out / "node_modules").symlink_to(TYPESCRIPT / "node_modules")
    options = ["--strict", "--noEmit", "--target", "es2022", "--module", "esnext"]
    options += ["--moduleResolution", "bundler"]
    sources = sorted(str(path) for path in out.glob("partway/v1/*.ts"))
    (out / "package.json").write_text('{"type": "module"}')
    tsc = TYPESCRIPT / "node_modules/.bin/tsc"
    # The types of libraries are not ours to check.
    run(tsc, *options, "--skipLibCheck", *sources, cwd=out)


def compile_java(out: Path) -> None:
    sources = sorted(str(path) for path in out.rglob("*.java"))
    jars = f"{TOOLS / 'java'}/*"
    run("javac", "-nowarn", "-proc:none", "-d", out / "classes", "-cp", jars, *sources)


COMPILED: Mapping[str, Callable[[Path], None]] = {
    "go": compile_go,
    "es": compile_typescript,
    "java": compile_java,
}
"""How to compile what is generated, where this machine has a compiler."""
