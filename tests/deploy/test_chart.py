"""Tests the Helm chart: what it renders, what Kubernetes' schemas say of it, what it refuses."""

import json
import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
from partway_server.config.backends import Backend
from partway_server.config.policy_file import read_rules
from partway_server.config.settings import SECRET_FILES, Settings, variable
from partway_server.storage.capabilities import KNOWN

from tests.support.chart import (
    CHART,
    EXAMPLES,
    ROOT,
    TOOLS,
    environment,
    helm,
    manifests,
    of_kind,
    pods,
    rendered,
    template,
    values_of,
)

pytestmark = pytest.mark.deploy

GOLDEN = Path(__file__).parent / "golden"
TYPES = Path(__file__).parent / "crds"
SCHEMAS = ROOT / ".tools/kubernetes/kubernetes_validate/kubernetes-json-schema"
OLDEST, NEWEST = "1.27.0", "1.37.0"
"""The versions of Kubernetes that the chart is checked for; Chart.yaml names the oldest."""

CUSTOM = {
    "ServiceMonitor": "@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1",
    "Certificate": "@kubernetes-models/cert-manager/cert-manager.io/v1",
}
"""The kinds that are not Kubernetes' own, each with the module that has its type."""


@pytest.fixture(scope="module", params=EXAMPLES)
def example(request: pytest.FixtureRequest) -> str:
    """Return the name of an example of values."""
    name: str = request.param
    return name


@pytest.fixture(scope="module")
def text(example: str) -> str:
    """Return what the chart renders with the example."""
    return rendered(example)


def test_helm_finds_nothing_to_criticize(example: str) -> None:
    ran = helm("lint", "--strict", CHART, "--values", values_of(example))
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_what_is_rendered_is_what_was_reviewed(example: str, text: str) -> None:
    golden = (GOLDEN / f"{example}.yaml").read_text()
    assert text == golden, "if it is meant to differ, run `make chart-golden` and review the diff"


@pytest.mark.parametrize("version", [OLDEST, NEWEST])
def test_kubernetes_takes_it(example: str, text: str, version: str) -> None:
    ran = kubeconform(text, version)
    assert ran.returncode == 0, ran.stdout
    counts = json.loads(ran.stdout)["summary"]
    custom = [each for each in manifests(text) if each["kind"] in CUSTOM]
    assert counts["valid"] == len(manifests(text)) - len(custom) >= 6
    assert counts["skipped"] == len(custom)


def test_a_misspelt_field_would_be_found() -> None:
    ran = kubeconform(rendered("full").replace("runAsNonRoot", "runAsNotRoot"), NEWEST)
    assert ran.returncode == 1
    assert "runAsNotRoot" in ran.stdout


def kubeconform(text: str, version: str) -> subprocess.CompletedProcess[str]:
    """Check manifests with the strict schemas of a version of Kubernetes."""
    file = "{{.ResourceKind}}{{.KindSuffix}}.json"
    schemas = f"{SCHEMAS}/{{{{.NormalizedKubernetesVersion}}}}-local{{{{.StrictSuffix}}}}/{file}"
    options = ["-strict", "-summary", "-output", "json", "-skip", ",".join(CUSTOM)]
    command: list[str | Path] = [TOOLS / "kubeconform", *options, "-kubernetes-version", version]
    return subprocess.run(
        [*command, "-schema-location", schemas],
        input=text,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.timeout(120)
def test_the_operators_of_the_other_kinds_take_them() -> None:
    found = [
        each for name in EXAMPLES for each in manifests(rendered(name)) if each["kind"] in CUSTOM
    ]
    assert {each["kind"] for each in found} == CUSTOM.keys()
    assert type_errors(found) == ""
    found[0]["spec"]["misspelt"] = 1
    assert "'\"misspelt\"' does not exist" in type_errors(found)


def type_errors(found: list[dict[str, Any]]) -> str:
    """Return what TypeScript says of manifests, by the types of their custom resources."""
    lines = [
        f'import type {{ I{kind} }} from "{module}/{kind}";' for kind, module in CUSTOM.items()
    ]
    for number, each in enumerate(found):
        lines.append(f"export const m{number}: I{each['kind']} = {json.dumps(each)};")
    build = TYPES / "build"
    build.mkdir(exist_ok=True)
    (build / "manifests.ts").write_text("\n".join(lines))
    command: list[str | Path] = [TYPES / "node_modules/.bin/tsc", "--project", TYPES]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    return f"{ran.stdout}{ran.stderr}"


def test_the_service_takes_the_settings(text: str, tmp_path: Path) -> None:
    for pod in pods(text):
        # Files exist in a cluster; here, with something in them.
        environ = {k: v.replace("/etc/partway", str(tmp_path)) for k, v in environment(pod).items()}
        for name, path in environ.items():
            if path.startswith(str(tmp_path)):
                Path(path).parent.mkdir(exist_ok=True)
                Path(path).write_text(CONTENT.get(name, "value"))
        _, problems = Settings.examine(environ, backends=KNOWN)
        assert problems == []


CONTENT = {
    "PARTWAY_SEALING_KEYS_FILE": f"{'A' * 86}==",
    "PARTWAY_REDIS_URL_FILE": "rediss://:password@redis.redis.svc:6379/0",
}
"""What the file of a setting may have in it, where not anything will do."""


def test_every_secret_can_come_from_the_secret_and_from_nowhere_else() -> None:
    values = json.loads((CHART / "values.schema.json").read_text())["properties"]
    helpers = (CHART / "templates/_helpers.tpl").read_text()
    variables = dict(re.findall(r"^(\w+): (PARTWAY_\w+_FILE)$", helpers, re.M))
    assert set(variables.values()) == {variable(name) for name in SECRET_FILES}
    assert variables.keys() == values["secrets"]["properties"]["keys"]["properties"].keys()
    refused = values["settings"]["propertyNames"]["not"]["enum"]
    # The access key is not a secret.
    open_names = {"s3_access_key", "s3_signer_access_key"}
    assert set(refused) == {variable(name) for name in {*SECRET_FILES.values()} - open_names}


def test_the_policies_can_be_used() -> None:
    files = of_kind("ConfigMap", rendered("full"))["data"]
    default = Backend("default", kind="seaweedfs")
    policies = files["policies.toml"].encode()
    rules = read_rules("policies.toml", policies, bucket="uploads", default=default)
    assert rules.policies.keys() == {"default", "photos"}
    assert tomllib.loads(files["webhooks.toml"])["webhook"].keys() == {"orders"}


def test_another_policy_replaces_the_pods_and_more_replicas_do_not() -> None:
    def pod(*options: str) -> Any:
        return of_kind("Deployment", rendered("full", *options))["spec"]["template"]

    before = pod()
    assert pod("--set", "replicas=7") == before
    changed = pod("--set", "policies=[policy.default]")
    key = "checksum/config"
    assert changed["metadata"]["annotations"][key] != before["metadata"]["annotations"][key]


def test_no_pod_has_a_right_that_it_does_not_need(text: str) -> None:
    user = re.search(r"^USER (\d+):(\d+)$", (ROOT / "Dockerfile").read_text(), re.M)
    assert user
    found = list(pods(text))
    assert len(found) == 2
    for pod in found:
        context = pod["securityContext"]
        assert context["runAsNonRoot"] and context["seccompProfile"] == {"type": "RuntimeDefault"}
        assert (context["runAsUser"], context["runAsGroup"]) == (int(user[1]), int(user[2]))
        assert pod["automountServiceAccountToken"] is False
        [container] = pod["containers"]
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        for volume in pod["volumes"]:
            if "secret" in volume:
                assert volume["secret"]["defaultMode"] == 0o440
    assert not [each for each in manifests(text) if each["kind"] == "Secret"]


def test_it_has_as_long_as_it_takes_to_end(text: str) -> None:
    pod = of_kind("Deployment", text)["spec"]["template"]["spec"]
    environ = environment(pod)
    taken = sum(float(environ[f"PARTWAY_{name}_SECONDS"]) for name in ("DRAIN", "GRACE"))
    assert pod["terminationGracePeriodSeconds"] >= taken + 5


def test_every_port_is_one_that_the_service_listens_on(text: str) -> None:
    pod = of_kind("Deployment", text)["spec"]["template"]["spec"]
    [container] = pod["containers"]
    environ = environment(pod)
    ports = {each["name"]: each["containerPort"] for each in container["ports"]}
    listening = {
        "grpc": int(environ["PARTWAY_ADDRESS"].rpartition(":")[2]),
        "metrics": int(environ["PARTWAY_METRICS_ADDRESS"].rpartition(":")[2]),
    }
    assert ports == listening
    exposed = re.search(r"^EXPOSE (.*)$", (ROOT / "Dockerfile").read_text(), re.M)
    assert exposed and {*map(int, exposed[1].split())} == {*listening.values()}
    for name in ("partway", "partway-pods"):
        for port in of_kind("Service", text, name)["spec"]["ports"]:
            assert port["targetPort"] in ports
    for rule in of_kind("NetworkPolicy", text)["spec"]["ingress"]:
        assert {each["port"] for each in rule["ports"]} <= ports.keys()


def test_probes_speak_as_the_service_does(text: str) -> None:
    pod = of_kind("Deployment", text)["spec"]["template"]["spec"]
    [container] = pod["containers"]
    environ = environment(pod)
    ready, alive = container["readinessProbe"], container["livenessProbe"]
    if "PARTWAY_TLS_CERT_FILE" not in environ:
        assert ready["grpc"] == {"port": 50051}
        assert alive["grpc"] == {"port": 50051, "service": "liveness"}
    else:
        assert ready["exec"]["command"] == ["partway-server", "health"]
        assert alive["exec"]["command"] == ["partway-server", "health", "--liveness"]
        assert ("PARTWAY_TLS_CLIENT_CA_FILE" in environ) == ("PARTWAY_CERT" in environ)
    # As docs/operate.md says.
    assert (ready["periodSeconds"], ready["failureThreshold"]) == (5, 1)
    assert (alive["periodSeconds"], alive["failureThreshold"]) == (10, 6)


def test_the_certificate_has_the_names_of_the_services() -> None:
    text = rendered("full")
    names = of_kind("Certificate", text)["spec"]["dnsNames"]
    services = [each["metadata"]["name"] for each in manifests(text) if each["kind"] == "Service"]
    assert names == [*(f"{each}.uploads.svc" for each in services), "uploads.example"]


def test_what_selects_pods_selects_those_of_the_service_alone(text: str) -> None:
    labels = of_kind("Deployment", text)["spec"]["template"]["metadata"]["labels"]
    doctor = of_kind("Pod", text, "partway-doctor")["metadata"]["labels"]
    selectors = [
        of_kind("Deployment", text)["spec"]["selector"]["matchLabels"],
        of_kind("Service", text)["spec"]["selector"],
        of_kind("Service", text, "partway-pods")["spec"]["selector"],
        of_kind("PodDisruptionBudget", text)["spec"]["selector"]["matchLabels"],
        of_kind("NetworkPolicy", text)["spec"]["podSelector"]["matchLabels"],
    ]
    for selector in selectors:
        assert selector.items() <= labels.items()
        assert not selector.items() <= doctor.items()


def test_prometheus_finds_each_pod_once() -> None:
    text = rendered("full")
    selector = of_kind("ServiceMonitor", text)["spec"]["selector"]["matchLabels"].items()
    services = [each for each in manifests(text) if each["kind"] == "Service"]
    [found] = [each for each in services if selector <= each["metadata"]["labels"].items()]
    assert [each["name"] for each in found["spec"]["ports"]] == ["grpc", "metrics"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["secrets.existing="], "secrets.existing is not set"),
        (["settings.PARTWAY_BUCKET="], "settings.PARTWAY_BUCKET is not set"),
        (["settings.PARTWAY_SEALING_KEYS=AAAA"], "PARTWAY_SEALING_KEYS"),
        (["settings.BUCKET=uploads"], "BUCKET"),
        (["settings.PARTWAY_ADDRESS=0.0.0.0:1"], "settings.PARTWAY_ADDRESS: the chart sets it"),
        (["settings.PARTWAY_DRAIN_SECONDS=soon"], "PARTWAY_DRAIN_SECONDS"),
        (["replica=2"], "replica"),
        (["metrics.port=80"], "port"),
        (["image.digest=latest"], "digest"),
        (["tls.enabled=true"], "tls.existingSecret is not set"),
        (
            ["tls.enabled=true", "tls.certManager.enabled=true"],
            "tls.certManager.issuerRef.name is not set",
        ),
        (
            ["tls.enabled=true", "tls.existingSecret=a", "tls.clientCa.existingSecret=b"],
            "tls.probeClient.existingSecret is not set",
        ),
    ],
    ids=lambda each: each[-1] if isinstance(each, list) else "",
)
def test_wrong_values_are_refused_by_name(options: list[str], said: str) -> None:
    ran = template("minimal", *(word for each in options for word in ("--set-string", each)))
    if "true" in "".join(options):
        ran = template("minimal", *(word for each in options for word in ("--set", each)))
    assert ran.returncode != 0
    assert said in ran.stderr


def test_the_defaults_are_documented_and_valid() -> None:
    values = (CHART / "values.yaml").read_text()
    chart = (CHART / "Chart.yaml").read_text()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert f"appVersion: {project['version']}\n" in chart
    assert f'kubeVersion: ">={OLDEST}-0"' in chart
    schema = json.loads((CHART / "values.schema.json").read_text())["properties"]
    for name in schema.keys() - {"global"}:
        assert re.search(rf"^{name}:", values, re.M), name
