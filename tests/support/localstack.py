"""Runs LocalStack's S3, in an environment of its own: its dependencies are not ours.

`make test-stores` makes the environment, from requirements/localstack.txt.
"""

from pathlib import Path

from partway_server.devstack.servers import S3, answers
from partway_server.runtime.subprocesses import Child, ChildError, free_port

PYTHON = Path(__file__).parents[2] / ".venv-localstack/bin/python"


def start_localstack(folder: Path) -> tuple[Child, S3]:
    """Run LocalStack without a bucket, with its data in `folder`. Raises ChildError."""
    if not PYTHON.exists():
        raise ChildError("LocalStack is not installed: run `make test-stores`")
    port = free_port()
    settings = {
        "SERVICES": "s3",
        "STRICT_SERVICE_LOADING": "1",
        "EAGER_SERVICE_LOADING": "1",
        "GATEWAY_LISTEN": f"127.0.0.1:{port}",
        "LOCALSTACK_VOLUME_DIR": str(folder),
        "S3_SKIP_SIGNATURE_VALIDATION": "0",
        # It takes port 53 and calls home unless configured otherwise.
        "DNS_ADDRESS": "0",
        "DISABLE_EVENTS": "1",
        "SKIP_SSL_CERT_DOWNLOAD": "1",
    }
    words = [f"{name}={value}" for name, value in settings.items()]
    command: list[str | Path] = ["env", *words, PYTHON, "-m", "localstack.runtime.main"]
    child = Child("localstack", command, log=folder / "localstack.log", patience=10)
    child.wait(lambda: answers(port, "/_localstack/health") == 200, seconds=60)
    return child, S3(f"http://127.0.0.1:{port}", "us-east-1", "test", "test", "partway")
