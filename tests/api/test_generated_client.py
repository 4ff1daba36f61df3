"""A client that a generator makes of our OpenAPI, without a warning, speaks to our server (openapi-python-client, where it is installed)."""

from __future__ import annotations

import json
import shutil
import subprocess
import urllib.request
from pathlib import Path
from ssl import create_default_context

import pytest

from pybernetes import testing

GENERATOR = shutil.which("openapi-python-client")
pytestmark = pytest.mark.skipif(GENERATOR is None, reason="openapi-python-client is not installed")
SECONDS = 180.0
# The generator knows bodies of these types alone when it is told what they are; upstream's document has the same types.
PATCHES = ("json-patch+json", "merge-patch+json", "strategic-merge-patch+json", "apply-patch+yaml")
TYPES = {"*/*": "application/json"} | {f"application/{name}": "application/json" for name in PATCHES}
USES = """
import json, sys
from made import AuthenticatedClient, models
from made.api.apps_v1 import create_apps_v1_namespaced_deployment as create, list_apps_v1_namespaced_deployment as listing
from made.api.apps_v1 import delete_apps_v1_namespaced_deployment as delete, read_apps_v1_namespaced_deployment as read
client = AuthenticatedClient(base_url=sys.argv[1], token=sys.argv[2], verify_ssl=sys.argv[3])
labels, spec = {"a": "b"}, {"containers": [{"name": "c", "image": "i"}]}
template = {"metadata": {"labels": labels}, "spec": spec}
whole = {"metadata": {"name": "d"}, "spec": {"selector": {"matchLabels": labels}, "template": template}}
made = create.sync("default", client=client, body=models.IoK8SApiAppsV1Deployment.from_dict(whole))
shown = [made.spec.replicas, [one.metadata.name for one in listing.sync("default", client=client).items]]
shown.append(read.sync("default", "d", client=client).spec.template.spec.containers[0].image_pull_policy)
shown.append(delete.sync_detailed("default", "d", client=client).status_code)
print(json.dumps(shown))
"""


def test_it_makes_reads_and_deletes_a_deployment(tmp_path: Path) -> None:
    assert GENERATOR is not None
    with testing.cluster() as cluster:
        (tmp_path / "ca.crt").write_bytes(cluster.ca)
        context = create_default_context(cafile=str(tmp_path / "ca.crt"))
        asked = urllib.request.Request(
            f"{cluster.url}/openapi/v3/apis/apps/v1", headers={"Authorization": f"Bearer {cluster.token}"}
        )
        with urllib.request.urlopen(asked, context=context) as answer:
            (tmp_path / "apps.json").write_bytes(answer.read())
        (tmp_path / "config.json").write_text(json.dumps({"content_type_overrides": TYPES, "post_hooks": []}))
        options = ["--path", "apps.json", "--config", "config.json", "--meta", "none", "--output-path", "made"]
        done = subprocess.run(
            [GENERATOR, "generate", *options], cwd=tmp_path, capture_output=True, text=True, timeout=SECONDS
        )
        assert done.returncode == 0, done.stderr
        assert "WARNING" not in done.stdout + done.stderr
        (tmp_path / "uses.py").write_text(USES)
        python = Path(GENERATOR).with_name("python")  # of its environment, which has what the client needs
        used = subprocess.run(
            [python, "uses.py", cluster.url, cluster.token, "ca.crt"],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=SECONDS,
        )
        assert used.returncode == 0, used.stderr
        assert json.loads(used.stdout) == [1, ["d"], "Always", 200]
