"""Renders the Helm chart as `helm install` would, and finds things in what comes out."""

import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
CHART = ROOT / "deploy/helm/partway"
TOOLS = ROOT / ".tools/bin"
EXAMPLES = sorted(each.name.removesuffix("-values.yaml") for each in (CHART / "ci").iterdir())
"""The examples of values that come with the chart, by name."""

Manifest = dict[str, Any]


def values_of(example: str) -> Path:
    """Return the file of an example of values."""
    return CHART / f"ci/{example}-values.yaml"


def helm(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run Helm to its end."""
    command = [TOOLS / "helm", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def template(example: str, *options: str | Path) -> subprocess.CompletedProcess[str]:
    """Render the chart with an example of values, and options such as `--set`."""
    where = ("--namespace", "uploads", "--values", values_of(example))
    return helm("template", "partway", CHART, *where, *options)


def rendered(example: str, *options: str | Path) -> str:
    """Return what the chart renders; fail if it does not."""
    ran = template(example, *options)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def manifests(text: str) -> list[Manifest]:
    """Return the manifests in what was rendered."""
    return [each for each in yaml.safe_load_all(text) if each]


def of_kind(kind: str, text: str, name: str = "partway") -> Manifest:
    """Return the only manifest of a kind and a name."""
    [found] = [
        each for each in manifests(text) if (each["kind"], each["metadata"]["name"]) == (kind, name)
    ]
    return found


def pods(text: str) -> Iterator[Manifest]:
    """Yield the spec of each pod that the chart makes."""
    for each in manifests(text):
        if each["kind"] == "Pod":
            yield each["spec"]
        elif "template" in each.get("spec", {}):
            yield each["spec"]["template"]["spec"]


def environment(pod: Mapping[str, Any]) -> dict[str, str]:
    """Return the variables of the only container of a pod."""
    [container] = pod["containers"]
    return {each["name"]: each["value"] for each in container["env"]}
