"""The pytest plug-in as those who write tests meet it: whole runs of pytest in this process."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import kubernetes  # noqa: F401  # here, as the others: runs of pytester forget what they have imported, and it would be loaded each time
import lightkube  # noqa: F401
import pytest

from pybernetes import testing  # noqa: F401

pytest_plugins = "pytester"
NAME = "pybernetes.pytestplugin"

Run = Callable[..., pytest.RunResult]

CRD = """
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.example.com}
spec:
  group: example.com
  scope: Namespaced
  names: {plural: widgets, singular: widget, kind: Widget}
  versions:
  - name: v1
    served: true
    storage: true
    schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
"""


@pytest.fixture
def run(pytester: pytest.Pytester, request: pytest.FixtureRequest) -> Run:
    """Runs a test file: with the plug-in, whether the package is installed or only on the path."""
    installed = request.config.pluginmanager.has_plugin("pybernetes")

    def run(source: str, *arguments: str, ini: str = "") -> pytest.RunResult:
        pytester.makepyfile(source)
        pytester.makeini(f"[pytest]\n{ini}")
        plugin = () if installed else ("-p", NAME)
        return pytester.runpytest_inprocess(*plugin, "-p", "no:cacheprovider", *arguments)

    return run


def test_a_cluster_a_test_and_the_environment(run: Run) -> None:
    """Each is empty, and clients that have read KUBECONFIG already find it, too."""
    result = run(
        """
        import os
        from kubernetes import client, config   # reads KUBECONFIG now
        import pytest

        seen = []

        def test_one(kube):
            kube.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"x": "1"}})
            assert os.environ["KUBECONFIG"] == kube.kubeconfig and "127.0.0.1" in os.environ["NO_PROXY"]
            seen.append(kube.url)
            config.load_kube_config()
            with client.ApiClient() as api:
                assert client.CoreV1Api(api).read_namespaced_config_map("a", "default").data == {"x": "1"}

        def test_two(kube):
            assert kube.url not in seen and kube.get_or_none("cm", "a") is None
            with pytest.raises(LookupError, match="there is no cm 'a' in default"):
                kube.get("cm", "a")

        def test_environment_is_put_back():
            assert "pybernetes" not in os.environ.get("KUBECONFIG", "")
        """
    )
    result.assert_outcomes(passed=3)


def test_marker_ini_and_namespaces(run: Run, pytester: pytest.Pytester) -> None:
    (pytester.path / "crds").mkdir()
    (pytester.path / "crds" / "widgets.yaml").write_text(CRD)
    result = run(
        """
        import pytest

        WIDGET = {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "w"}, "spec": {"size": 1}}
        names = []

        @pytest.mark.kubernetes(controllers=["namespace"], faults=[{"verb": "create", "resource": "configmaps", "error": 500}])
        def test_chosen(kube):
            assert kube.apply(WIDGET)["spec"] == {"size": 1}
            kube.delete("widget", "w")
            assert kube.wait_for("widgets.example.com", "w", "deleted") is None
            kube.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "n"}})
            kube.delete("ns", "n")
            kube.wait_for("ns", "n", "deleted")
            with pytest.raises(Exception, match="injected by the test"):
                from lightkube.resources.core_v1 import ConfigMap
                from lightkube.models.meta_v1 import ObjectMeta
                kube.client("lightkube").create(ConfigMap(metadata=ObjectMeta(name="x")))

        @pytest.mark.parametrize("number", [1, 2])
        def test_namespaces(kube_namespace, kube_session, number):
            kube_namespace.apply(WIDGET)
            assert [one["metadata"]["name"] for one in kube_namespace.list("widgets")] == ["w"]
            assert kube_namespace.url == kube_session.url and kube_namespace.namespace not in names
            names.append(kube_namespace.namespace)
        """,
        ini="kubernetes_crds = crds",
    )
    result.assert_outcomes(passed=3)


def test_wrong_arguments_are_refused_in_words(run: Run) -> None:
    result = run(
        """
        import pytest

        @pytest.mark.kubernetes(controlers="all")
        def test_name(kube): ...

        @pytest.mark.kubernetes("all")
        def test_position(kube): ...

        @pytest.mark.kubernetes(controllers="deploy")
        def test_value(kube): ...

        @pytest.mark.kubernetes(faults=[{"verb": "update", "eror": 500}])
        def test_fault(kube): ...

        @pytest.mark.kubernetes(nodes=2)
        def test_shared(kube_namespace): ...
        """
    )
    result.assert_outcomes(errors=5)
    result.stdout.fnmatch_lines(
        [
            "*kubernetes(controlers=...): there is controllers, scheduler, nodes,*",
            "*kubernetes('all',): want names: controllers, *",
            "*\"deploy\" is not in the list of known controllers; want 'all', or some of: *",
            "*faults: eror: there is verb, resource, *",
            "*is for `kube`: the cluster of `kube_namespace` is everybody's*",
        ]
    )


def test_report_of_a_failure(run: Run) -> None:
    """Objects, events and requests of the test; nothing of it where it passes."""
    result = run(
        """
        from kubernetes import client

        def test_fails(kube):
            kube.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}})
            with kube.client("kubernetes") as api:
                try:
                    client.CoreV1Api(api).read_namespaced_secret("none", "default")
                except client.ApiException:
                    pass
            kube.wait_for("cm", "settings", lambda one: "wanted" in one.get("data", {}), timeout=0.05)

        def test_passes(kube): ...
        """
    )
    result.assert_outcomes(failed=1, passed=1)
    result.stdout.fnmatch_lines(
        [
            "*cm 'settings' in default is not <lambda> after 0.05 s: it has no status*",
            "*kubernetes*",
            "objects that changed:",
            "  ConfigMap default/settings",
            "requests:",
            "*kubernetes-admin get secrets default/none -> 404",
        ]
    )


def test_asynchronous_tests(run: Run) -> None:
    """anyio's plug-in is in the development's packages; the fixture is no coroutine, so any other does as well."""
    result = run(
        """
        import asyncio
        import pytest
        from pybernetes.testing import Cluster

        pytestmark = pytest.mark.anyio

        @pytest.fixture
        def anyio_backend():
            return "asyncio"

        CONFIG_MAP = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}}

        async def test_awaited(akube):
            waiting = asyncio.ensure_future(akube.wait_for("cm", "a", "created"))
            await akube.apply(CONFIG_MAP)
            assert (await waiting)["metadata"]["name"] == "a"
            before = akube.clock.now()
            await akube.clock.advance("1h")
            assert (akube.clock.now() - before).total_seconds() >= 3600

        async def test_context():
            async with Cluster() as akube:
                assert await akube.list("cm", selector="a=b") == []
        """
    )
    result.assert_outcomes(passed=2)


def test_isolated_runs_find_no_other_cluster(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", "/mine")
    result = run(
        """
        import os
        AT_IMPORT = os.environ["KUBECONFIG"]

        def test_nothing_of_mine():
            assert AT_IMPORT != "/mine" and not os.path.exists(AT_IMPORT)
        """,
        ini="kubernetes_isolated = true",
    )
    result.assert_outcomes(passed=1)


def test_plugin_is_light() -> None:
    """Whoever has the package installed pays for it in every run of pytest."""
    script = f"import {NAME}, sys; print(sorted(m for m in sys.modules if m.split('.')[0] in ('pybernetes', 'yaml', 'msgspec', 'asyncio')))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(["pybernetes", NAME])


def test_entry_point_names_the_plugin() -> None:
    import tomllib

    with (Path(__file__).parents[3] / "pyproject.toml").open("rb") as file:
        project = tomllib.load(file)["project"]
    assert project["entry-points"]["pytest11"] == {"pybernetes": NAME}


def test_a_namespace_leaves_nothing_to_the_next_test(run: Run) -> None:
    """Rules, scripts and webhooks go with it, and requests are told of the test alone."""
    result = run(
        """
        def test_first(kube_namespace):
            kube_namespace.faults.add(error=500)
            kube_namespace.webhook(lambda request: False).validate("*")

        def test_second(kube_namespace):
            assert kube_namespace.requests == []
            kube_namespace.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}})
        """
    )
    result.assert_outcomes(passed=2)


def test_versions_that_there_are_none_of(run: Run) -> None:
    result = run(
        """
        import pytest

        @pytest.mark.kubernetes(version="1.30")
        def test_old(kube): pass

        @pytest.mark.kubernetes(version="1.37")
        def test_new(kube): pass
        """
    )
    result.assert_outcomes(errors=1, passed=1)
    result.stdout.fnmatch_lines(["*version='1.30': there is 1.37 alone; envtest, kind and kwok have others*"])
