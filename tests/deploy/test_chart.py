"""The Helm chart: renders for every values file of helm/ci, keeps its promises, and refuses what cannot work."""

from __future__ import annotations

import json
import shutil
import subprocess
import sysconfig
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from relay import __version__
from relay.settings import Settings, load
from tests import tools

ROOT = Path(__file__).parents[2]
CHART = ROOT / "helm"
# The one of the package helm-binary, whatever PATH has. That package is for Linux on x86-64 alone: elsewhere it
# is the one that this person has installed.
HELM = shutil.which("helm", path=sysconfig.get_path("scripts")) or tools.HELM.find()
CASES = sorted(CHART.glob("ci/*-values.yaml"))
CASE_NAMES = [case.name.removesuffix("-values.yaml") for case in CASES]
HELM_LIMIT_S = 30

Object = dict[str, Any]


def helm(*arguments: object, home: Path) -> subprocess.CompletedProcess[str]:
    """Run helm without this person's configuration, and so without any cluster."""
    if HELM is None:
        raise tools.Missing(tools.HELM)
    return subprocess.run(
        [HELM, *map(str, arguments)],
        env={"HOME": str(home), "KUBECONFIG": "/dev/null"},
        capture_output=True,
        text=True,
        timeout=HELM_LIMIT_S,
        check=False,
    )


class Rendered:
    """The objects of one rendering, by kind and name."""

    def __init__(self, text: str) -> None:
        self.objects: list[Object] = [item for item in yaml.safe_load_all(text) if item]

    def kind(self, kind: str) -> list[Object]:
        return [item for item in self.objects if item["kind"] == kind]

    def only(self, kind: str) -> Object:
        (found,) = self.kind(kind)
        return found

    @property
    def pod(self) -> Object:
        """The pod template: metadata and spec."""
        template: Object = self.only("Deployment")["spec"]["template"]
        return template

    @property
    def container(self) -> Object:
        container: Object
        (container,) = self.pod["spec"]["containers"]
        return container

    @property
    def settings(self) -> dict[str, str]:
        data: dict[str, str] = self.only("ConfigMap")["data"]
        return data

    @property
    def environment(self) -> dict[str, Object]:
        return {entry["name"]: entry for entry in self.container.get("env", [])}


@cache
def _render(home: Path, case: Path, extra: tuple[str, ...], chart: Path) -> Rendered:
    done = helm("template", "demo", chart, "--namespace", "mail", "--values", case, *extra, home=home)
    assert done.returncode == 0, done.stderr
    return Rendered(done.stdout)


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("helm-home")


@pytest.fixture(params=CASES, ids=CASE_NAMES)
def case(request: pytest.FixtureRequest) -> Path:
    path: Path = request.param
    return path


@pytest.fixture
def rendered(home: Path, case: Path) -> Rendered:
    return _render(home, case, (), CHART)


def render(home: Path, name: str, *sets: str) -> Rendered:
    extra = tuple(word for value in sets for word in ("--set", value))
    return _render(home, CHART / "ci" / f"{name}-values.yaml", extra, CHART)


def refusal(home: Path, name: str, *sets: str) -> str:
    """What helm says when it refuses these values."""
    extra = [word for value in sets for word in ("--set", value)]
    done = helm("template", "demo", CHART, "--values", CHART / "ci" / f"{name}-values.yaml", *extra, home=home)
    assert done.returncode != 0, f"helm took {sets}"
    return done.stderr


def walk(node: Any) -> Iterator[Any]:
    yield node
    if isinstance(node, dict):
        for value in node.values():
            yield from walk(value)
    elif isinstance(node, list):
        for value in node:
            yield from walk(value)


# --- every values file -------------------------------------------------------------------------------------------


def test_there_are_the_four_cases() -> None:
    assert {"minimal", "embedded", "production", "all"} <= set(CASE_NAMES)


def test_lint_has_no_warning(home: Path, case: Path) -> None:
    done = helm("lint", "--strict", CHART, "--values", case, home=home)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "[WARNING]" not in done.stdout


def test_renders_each_kind_once(rendered: Rendered) -> None:
    kinds = [item["kind"] for item in rendered.objects]
    for kind in ("Deployment", "ConfigMap", "PodDisruptionBudget"):
        assert kinds.count(kind) == 1
    assert kinds.count("Service") == 2
    assert "Secret" not in kinds


def test_names_are_unique_within_a_kind(rendered: Rendered) -> None:
    names = [(item["kind"], item["metadata"]["name"]) for item in rendered.objects]
    assert len(set(names)) == len(names)


def test_every_container_runs_with_the_least_rights(rendered: Rendered) -> None:
    spec = rendered.pod["spec"]
    assert spec["automountServiceAccountToken"] is False
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in [*spec["containers"], *spec.get("initContainers", [])]:
        assert container["securityContext"] == {
            "runAsNonRoot": True,
            "runAsUser": 10001,
            "runAsGroup": 10001,
            "readOnlyRootFilesystem": True,
            "allowPrivilegeEscalation": False,
            "privileged": False,
            "capabilities": {"drop": ["ALL"]},
            "seccompProfile": {"type": "RuntimeDefault"},
        }


def test_user_and_arguments_are_those_of_the_image(rendered: Rendered) -> None:
    dockerfile = (ROOT / "Dockerfile").read_text()
    assert "USER {runAsUser}:{runAsGroup}\n".format(**rendered.container["securityContext"]) in dockerfile
    assert f'CMD ["{rendered.container["args"][0]}"]' in dockerfile


def test_service_links_are_off(rendered: Rendered) -> None:
    assert rendered.pod["spec"]["enableServiceLinks"] is False


def test_probes_point_at_the_internal_port(rendered: Rendered) -> None:
    ports = {port["name"]: port["containerPort"] for port in rendered.container["ports"]}
    assert ports == {
        "http": int(rendered.settings["RELAY_PORT"]),
        "internal": int(rendered.settings["RELAY_INTERNAL_PORT"]),
    }
    paths = {
        probe: rendered.container[probe]["httpGet"]
        for probe in ("startupProbe", "livenessProbe", "readinessProbe")
    }
    assert paths == {
        "startupProbe": {"path": "/livez", "port": "internal"},
        "livenessProbe": {"path": "/livez", "port": "internal"},
        "readinessProbe": {"path": "/readyz", "port": "internal"},
    }


def test_services_select_the_pods_and_their_ports(rendered: Rendered) -> None:
    ports = {port["name"] for port in rendered.container["ports"]}
    labels = rendered.pod["metadata"]["labels"]
    for service in rendered.kind("Service"):
        assert service["spec"]["selector"].items() <= labels.items()
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= ports
    assert rendered.only("PodDisruptionBudget")["spec"]["selector"]["matchLabels"].items() <= labels.items()
    assert rendered.only("Deployment")["spec"]["selector"]["matchLabels"].items() <= labels.items()
    for constraint in rendered.pod["spec"]["topologySpreadConstraints"]:
        assert constraint["labelSelector"]["matchLabels"].items() <= labels.items()


def test_the_internal_port_never_leaves_the_cluster(rendered: Rendered) -> None:
    internal = [
        service
        for service in rendered.kind("Service")
        if any(port["targetPort"] == "internal" for port in service["spec"]["ports"])
    ]
    assert [(item["spec"]["type"], item["spec"]["clusterIP"]) for item in internal] == [("ClusterIP", "None")]
    names = {item["metadata"]["name"] for item in internal}
    for ingress in rendered.kind("Ingress"):
        for node in walk(ingress["spec"]):
            if isinstance(node, dict) and "service" in node:
                assert node["service"]["name"] not in names
                assert node["service"]["port"] == {"name": "http"}


def test_secrets_come_by_reference_only(rendered: Rendered) -> None:
    for name, entry in rendered.environment.items():
        if name.endswith("_SECRET") or name == "RELAY_REDIS_URL":
            assert set(entry) == {"name", "valueFrom"}
            assert set(entry["valueFrom"]) == {"secretKeyRef"}
    schema = json.loads((CHART / "values.schema.json").read_text())
    plain = schema["properties"]["settings"]["properties"].keys()
    for config in rendered.kind("ConfigMap"):
        assert set(config["data"]) <= plain


def test_mounts_have_volumes_and_secrets_are_read_only(rendered: Rendered) -> None:
    volumes = {volume["name"]: volume for volume in rendered.pod["spec"]["volumes"]}
    mounts = {mount["name"]: mount for mount in rendered.container["volumeMounts"]}
    assert set(mounts) == set(volumes)
    for name, volume in volumes.items():
        if "secret" in volume:
            assert mounts[name]["readOnly"] is True
            assert volume["secret"]["defaultMode"] == 0o440


def test_leaving_fits_into_the_grace_period(rendered: Rendered) -> None:
    command = rendered.container["lifecycle"]["preStop"]["exec"]["command"]
    assert command[0] == "sleep"
    leaving = float(command[1]) + float(rendered.settings["RELAY_DRAIN_SECONDS"])
    assert rendered.pod["spec"]["terminationGracePeriodSeconds"] > leaving


def test_the_service_starts_with_what_the_chart_gives_it(rendered: Rendered) -> None:
    environment = dict(rendered.settings)
    for name, entry in rendered.environment.items():
        if name.startswith("RELAY_"):
            placeholder = "redis://redis:6379/0" if name == "RELAY_REDIS_URL" else "from-a-secret"
            environment[name] = entry.get("value", placeholder)
    settings = load(environment)
    assert str(settings.port) == rendered.settings["RELAY_PORT"]
    assert str(settings.internal_port) == rendered.settings["RELAY_INTERNAL_PORT"]
    assert settings.embedded == ("RELAY_REDIS_URL" not in environment)


# --- single promises ---------------------------------------------------------------------------------------------


def test_accounts_file_is_where_its_setting_says(home: Path) -> None:
    pod = render(home, "all")
    volume = next(item for item in pod.pod["spec"]["volumes"] if item["name"] == "accounts")
    mount = next(item for item in pod.container["volumeMounts"] if item["name"] == "accounts")
    assert volume["secret"]["secretName"] == "people"
    assert volume["secret"]["items"] == [{"key": "people.toml", "path": "accounts.toml"}]
    assert pod.environment["RELAY_ACCOUNTS_FILE"]["value"] == f"{mount['mountPath']}/accounts.toml"


def test_senders_are_a_map_that_more_can_be_added_to(home: Path) -> None:
    pod = render(home, "embedded", "senders.amazon-ses.existingSecret=ses", "senders.amazon-ses.key=token")
    found = {
        name: (entry["valueFrom"]["secretKeyRef"]["name"], entry["valueFrom"]["secretKeyRef"]["key"])
        for name, entry in pod.environment.items()
        if name.endswith("_SECRET")
    }
    assert found == {"RELAY_RAW_SECRET": ("relay-senders", "raw"), "RELAY_AMAZON_SES_SECRET": ("ses", "token")}


def test_an_api_key_is_beside_the_secret_of_its_sender(home: Path) -> None:
    found = render(home, "all").environment
    assert "RELAY_RAW_API_KEY" not in found
    for name in ("brevo", "mailgun", "resend"):
        reference = found[f"RELAY_{name.upper()}_API_KEY"]["valueFrom"]["secretKeyRef"]
        assert reference == {"name": "other-senders", "key": f"{name}-api-key"}


def test_large_numbers_stay_whole(home: Path) -> None:
    assert render(home, "all").settings["RELAY_MAX_MESSAGE_BYTES"] == "52428800"
    assert render(home, "all").settings["RELAY_DRAIN_SECONDS"] == "45.5"


def test_the_memory_limit_follows_from_the_bytes_of_mail_in_work(home: Path) -> None:
    def limit(*sets: str, case: str = "minimal") -> str:
        text: str = render(home, case, *sets).container["resources"]["limits"]["memory"]
        return text

    assert limit() == "768Mi"
    assert limit("settings.RELAY_WORK_BYTES=1073741824") == "2112Mi"
    assert limit("settings.RELAY_WORKERS=2", case="production") == "1536Mi"
    assert limit("resources.limits.memory=5Gi") == "5Gi"


def test_rollout_never_has_fewer_pods_with_redis_and_never_two_stores_without(home: Path) -> None:
    shared = render(home, "production").only("Deployment")["spec"]["strategy"]
    assert shared == {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}}
    assert render(home, "minimal").only("Deployment")["spec"]["strategy"] == {"type": "Recreate"}


def test_a_setting_that_changes_replaces_the_pods(home: Path) -> None:
    def checksum(*sets: str) -> str:
        text: str = render(home, "production", *sets).pod["metadata"]["annotations"]["checksum/config"]
        return text

    assert checksum("settings.RELAY_LOG_LEVEL=debug") != checksum()
    assert checksum("replicaCount=5") == checksum()


def test_a_new_chart_version_alone_replaces_no_pod(home: Path, tmp_path: Path) -> None:
    shutil.copytree(CHART, tmp_path / "helm")
    about = tmp_path / "helm" / "Chart.yaml"
    about.write_text(about.read_text().replace("\nversion: ", "\nversion: 1"))
    case = CHART / "ci" / "production-values.yaml"
    newer = _render(home, case, (), tmp_path / "helm")
    assert newer.only("Deployment")["metadata"] != render(home, "production").only("Deployment")["metadata"]
    assert newer.pod == render(home, "production").pod


def test_websockets_and_large_mail_pass_the_ingress(home: Path) -> None:
    ingress = render(home, "production").only("Ingress")
    prefix = "nginx.ingress.kubernetes.io/"
    annotations = ingress["metadata"]["annotations"]
    assert annotations[f"{prefix}proxy-read-timeout"] == "3600"
    assert annotations[f"{prefix}proxy-send-timeout"] == "3600"
    megabytes = int(annotations[f"{prefix}proxy-body-size"].removesuffix("m"))
    assert megabytes << 20 > Settings.model_fields["max_message_bytes"].default
    assert ingress["spec"]["ingressClassName"] == "nginx"
    assert ingress["spec"]["tls"] == [{"hosts": ["relay.example.com"], "secretName": "relay-example-com-tls"}]
    assert [rule["host"] for rule in ingress["spec"]["rules"]] == ["relay.example.com"]


def test_an_annotation_set_to_null_is_dropped(home: Path) -> None:
    annotations = render(home, "all").only("Ingress")["metadata"]["annotations"]
    assert not any(name.endswith("proxy-read-timeout") for name in annotations)


def test_public_url_follows_the_ingress_unless_given(home: Path) -> None:
    assert render(home, "production").settings["RELAY_PUBLIC_URL"] == "https://relay.example.com"
    assert (
        render(home, "production", "ingress.tls.secretName=").settings["RELAY_PUBLIC_URL"]
        == "http://relay.example.com"
    )
    assert render(home, "all").settings["RELAY_PUBLIC_URL"] == "https://relay.example.com"
    assert "RELAY_PUBLIC_URL" not in render(home, "minimal").settings


def test_digest_wins_over_tag(home: Path) -> None:
    digest = "sha256:" + "0" * 64
    assert render(home, "production", "image.tag=v9").container["image"] == f"images.example.com/relay@{digest}"
    assert render(home, "all").container["image"] == "images.example.com/relay:0.1.0-rc1"
    assert render(home, "minimal").container["image"] == f"relay:{__version__}"


def test_prometheus_annotations_are_a_choice(home: Path) -> None:
    annotations = render(home, "all").pod["metadata"]["annotations"]
    assert annotations["prometheus.io/scrape"] == "true"
    assert annotations["prometheus.io/port"] == "9001"
    assert annotations["prometheus.io/path"] == "/metrics"
    assert set(render(home, "minimal").pod["metadata"]["annotations"]) == {"checksum/config"}


def test_no_pause_means_no_hook(home: Path) -> None:
    assert "lifecycle" not in render(home, "minimal", "preStopSeconds=0").container


def test_long_release_names_stay_labels(home: Path) -> None:
    name = "a" * 53  # helm's own limit
    done = helm("template", name, CHART, home=home)
    assert done.returncode == 0, done.stderr
    for item in Rendered(done.stdout).objects:
        assert len(item["metadata"]["name"]) <= 63


# --- refusals ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("case_name", "sets", "said"),
    [
        ("minimal", ["replicaCount=2"], "replicaCount is 2, but redis.existingSecret is not set"),
        ("minimal", ["settings.RELAY_WORKERS=2"], "RELAY_WORKERS is 2, but redis.existingSecret is not set"),
        ("minimal", ["terminationGracePeriodSeconds=25"], "Raise terminationGracePeriodSeconds above 25"),
        ("minimal", ["settings.RELAY_DRAIN_SECONDS=60"], "RELAY_DRAIN_SECONDS = 65 s to leave"),
        ("minimal", ["preStopSeconds=20"], "RELAY_DRAIN_SECONDS = 40 s to leave"),
        ("minimal", ["settings.RELAY_INTERNAL_PORT=8000"], "are both 8000"),
        ("minimal", ["ingress.enabled=true"], "ingress.host is empty"),
        (
            "minimal",
            ["ingress.enabled=true", "ingress.host=relay.example.com"],
            "settings.RELAY_TRUSTED_PROXIES is not set",
        ),
        ("production", ["settings.RELAY_TRUSTED_PROXIES="], "settings.RELAY_TRUSTED_PROXIES is not set"),
    ],
)
def test_values_that_contradict_each_other_are_refused(
    home: Path, case_name: str, sets: list[str], said: str
) -> None:
    assert said in refusal(home, case_name, *sets)


def test_grace_just_above_the_sum_is_taken(home: Path) -> None:
    assert render(home, "minimal", "terminationGracePeriodSeconds=26")
    assert render(home, "production", "replicaCount=2")


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("replicas=2", "replicas"),
        ("redis.url=redis://u:p@h", "url"),
        ("redis.existingsecret=x", "existingsecret"),
        ("accounts.file=x", "file"),
        ("senders.raw.secret=hunter2", "secret"),
        ("senders.raw.key=x", "existingSecret"),
        ("senders.RAW.existingSecret=x", "RAW"),
        ("settings.RELAY_TYPO=1", "RELAY_TYPO"),
        ("settings.RELAY_REDIS_URL=redis://h", "RELAY_REDIS_URL"),
        ("settings.RELAY_RAW_SECRET=hunter2", "RELAY_RAW_SECRET"),
        ("settings.RELAY_ACCOUNTS_FILE=/x", "RELAY_ACCOUNTS_FILE"),
        ("settings.RELAY_PORT=80", "RELAY_PORT"),
        ("settings.RELAY_PORT=null", "RELAY_PORT"),
        ("settings.RELAY_DRAIN_SECONDS=null", "RELAY_DRAIN_SECONDS"),
        ("settings.RELAY_DEFAULT_FRAMES=other", "RELAY_DEFAULT_FRAMES"),
        ("settings.RELAY_MAX_MESSAGE_BYTES=25MB", "RELAY_MAX_MESSAGE_BYTES"),
        ("image.digest=sha256:1", "digest"),
        ("image.pullPolicy=Sometimes", "pullPolicy"),
        ("ingress.hosts[0]=a.example.com", "hosts"),
        ("ingress.host=https://a.example.com", "host"),
        ("service.type=ExternalName", "type"),
        ("probes.liveness.path=/x", "path"),
        ("podDisruptionBudget.maxUnavailable=0", "maxUnavailable"),
        ("podDisruptionBudget.minAvailable=1", "minAvailable"),
        ("extraEnv[0].name=RELAY_RAW_SECRET", "extraEnv"),
    ],
)
def test_the_schema_refuses_and_names_it(home: Path, value: str, said: str) -> None:
    message = refusal(home, "minimal", value)
    assert "values don't meet the specifications of the schema" in message
    assert said in message


# --- NOTES.txt ---------------------------------------------------------------------------------------------------


def notes(home: Path, tmp_path: Path, name: str) -> str:
    """NOTES.txt as `helm install` would print it. `helm template` leaves it out, so a copy of the chart has it in
    a ConfigMap."""
    chart = tmp_path / "helm"
    shutil.copytree(CHART, chart)
    text = (chart / "templates" / "NOTES.txt").read_text()
    (chart / "templates" / "notes.yaml").write_text(
        '{{ define "notes" }}' + text + "{{ end }}\n"
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: notes}\n"
        'data: {notes: {{ include "notes" . | toJson }}}\n'
    )
    case = CHART / "ci" / f"{name}-values.yaml"
    done = helm("template", "demo", chart, "--namespace", "mail", "--values", case, home=home)
    assert done.returncode == 0, done.stderr
    found: str = next(
        item["data"]["notes"]
        for item in Rendered(done.stdout).kind("ConfigMap")
        if item["metadata"]["name"] == "notes"
    )
    return found


def test_notes_of_a_first_look_say_what_is_missing(home: Path, tmp_path: Path) -> None:
    text = notes(home, tmp_path, "minimal")
    assert "kubectl --namespace mail rollout status deployment/demo-relay" in text
    assert "port-forward service/demo-relay 8000:80" in text
    assert "create secret generic demo-relay-accounts --from-file=accounts.toml" in text
    assert "--set senders.raw.existingSecret=demo-relay-senders" in text
    assert "WARNING: redis.existingSecret is not set" in text


def test_notes_of_production_say_how_to_try_it(home: Path, tmp_path: Path) -> None:
    text = notes(home, tmp_path, "production")
    assert "wss://relay.example.com/incoming-messages?key=" in text
    assert "'https://relay.example.com/inbound/raw?to=<address>'" in text
    assert "get secret relay-senders --output 'go-template={{index .data \"raw\" | base64decode}}'" in text
    assert "WARNING" not in text
    for number in ("1. ", "2. ", "3. "):
        assert text.count(f"\n{number}") == 1
