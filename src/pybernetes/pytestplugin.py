"""The pytest plug-in (entry point pytest11): fixtures `kube`, `akube`, `kube_session`, `kube_namespace`, and the marker `kubernetes`.

It lies outside of `testing`, whose import takes a moment: nothing else of this package is imported before a fixture is asked for.
docs/testing.md tells how it is used.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pybernetes.testing import AsyncKube, Kube

MARKER = "kubernetes"
OPTIONS = ("controllers", "scheduler", "nodes", "crds", "objects", "faults", "state", "version")
MARKER_HELP = (
    f'{MARKER}({", ".join(f"{name}=..." for name in OPTIONS)}): what runs in the test\'s cluster: controllers ("all" or names), '
    "a scheduler, hollow nodes; what is applied first; rules by which requests fail; another cluster's snapshot"
)
INI = {
    "kubernetes_controllers": ("args", [], "Controllers of all clusters: all, or names as kube-controller-manager's --controllers has them."),
    "kubernetes_scheduler": ("bool", False, "Whether clusters have a scheduler."),
    "kubernetes_nodes": ("string", "0", "How many hollow nodes clusters have."),
    "kubernetes_crds": ("paths", [], "Files or folders of definitions that are applied to every cluster."),
    "kubernetes_isolated": ("bool", False, "KUBECONFIG names an empty place from before the first conftest: no test reaches a cluster of yours."),
}  # fmt: skip
# Modules that have read KUBECONFIG when they were imported, and where they keep it.
READ_AT_IMPORT = tuple(
    f"{package}.{module}"
    for package in ("kubernetes", "kubernetes_asyncio")
    for module in ("config", "config.kube_config")
)
LOCATION = "KUBE_CONFIG_DEFAULT_LOCATION"
SECTION = "kubernetes"
NAMESPACE_LENGTH = 40  # of the test's name in its namespace's

_handles = pytest.StashKey[list[Any]]()  # of an item: whose reports are shown where it fails


def pytest_addoption(parser: pytest.Parser) -> None:
    """The defaults of the marker."""
    for name, (kind, default, text) in INI.items():
        parser.addini(name, text, type=kind, default=default)  # type: ignore[arg-type]


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    """Before the first conftest, which may import clients that read KUBECONFIG only then."""
    if early_config.getini("kubernetes_isolated"):
        patch = pytest.MonkeyPatch()
        early_config.add_cleanup(patch.undo)
        nowhere = Path(tempfile.gettempdir()) / "no-cluster-of-pybernetes" / "kubeconfig"
        for name, value in _variables(str(nowhere)).items():
            patch.setenv(name, value)


def pytest_configure(config: pytest.Config) -> None:
    """The marker is known."""
    config.addinivalue_line("markers", MARKER_HELP)


@pytest.fixture
def kube(request: pytest.FixtureRequest) -> Iterator[Kube]:
    """A cluster of the test's own: a `pybernetes.testing.Kube`. The marker `kubernetes` says what runs in it. KUBECONFIG names it."""
    with _cluster(request.config, _asked(request.node)) as handle, _watched(request, handle):
        yield handle


@pytest.fixture
def akube(kube: Kube) -> AsyncKube:
    """The cluster of `kube`, whose methods are to be awaited: a `pybernetes.testing.AsyncKube`. For every asynchronous plug-in."""
    from pybernetes.testing import AsyncKube

    return AsyncKube(kube)


@pytest.fixture(scope="session")
def kube_session(request: pytest.FixtureRequest) -> Iterator[Kube]:
    """One cluster for all tests of the process, as the ini options say. See `kube_namespace`."""
    with _cluster(request.config, {}) as handle:
        yield handle


@pytest.fixture
def kube_namespace(request: pytest.FixtureRequest, kube_session: Kube) -> Iterator[Kube]:
    """The cluster of the session in a namespace of the test's own, which is deleted after it; `.namespace` is its name.

    Rules, scripts and webhooks of the test end with it.
    """
    if _asked(request.node):
        raise pytest.UsageError(
            f"@pytest.mark.{MARKER} is for `kube`: the cluster of `kube_namespace` is everybody's, see the ini options"
        )
    words = re.sub(r"[^a-z0-9]+", "-", request.node.name.lower()).strip("-")[:NAMESPACE_LENGTH].strip("-")
    with kube_session.temporary_namespace(words or "test") as handle, _environment(handle), _watched(request, handle):
        yield handle


@pytest.fixture
def akube_namespace(kube_namespace: Kube) -> AsyncKube:
    """As `kube_namespace`, to be awaited."""
    from pybernetes.testing import AsyncKube

    return AsyncKube(kube_namespace)


@pytest.hookimpl(hookwrapper=True)  # not `wrapper`, which pytest 7 does not know
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, None]:
    """Where a test has failed its report shows what is in its clusters."""
    report = (yield).get_result()
    if report.failed:
        for handle in item.stash.get(_handles, []):
            try:
                shown = handle.report()
            except Exception as error:  # the report of the test itself must come
                shown = f"the cluster does not answer any more: {error!r}"
            report.sections.append((SECTION, shown))


def _asked(item: pytest.Item) -> dict[str, Any]:
    """What the markers say; the nearest of each option. UsageError, which lists the options."""
    options: dict[str, Any] = {}
    for marker in item.iter_markers(MARKER):
        if marker.args:
            raise pytest.UsageError(f"@pytest.mark.{MARKER}{marker.args!r}: want names: {', '.join(OPTIONS)}")
        for name, value in marker.kwargs.items():
            if name not in OPTIONS:
                raise pytest.UsageError(f"@pytest.mark.{MARKER}({name}=...): there is {', '.join(OPTIONS)}")
            options.setdefault(name, value)
    return options


@contextmanager
def _cluster(config: pytest.Config, asked: dict[str, Any]) -> Iterator[Kube]:
    """UsageError for what cannot be meant."""
    from pybernetes.testing import Cluster, WrongArgument

    nodes = config.getini("kubernetes_nodes")
    options: dict[str, Any] = {
        "controllers": config.getini("kubernetes_controllers"),
        "scheduler": config.getini("kubernetes_scheduler"),
        "nodes": int(nodes) if nodes.isdigit() else nodes,
        **asked,
    }
    definitions = asked.get("crds", ())
    definitions = definitions if isinstance(definitions, list | tuple) else [definitions]
    options["crds"] = [*config.getini("kubernetes_crds"), *definitions]
    try:
        cluster = Cluster(**options)
    except WrongArgument as error:
        raise pytest.UsageError(f"{MARKER}: {error}") from error
    with cluster as handle, _environment(handle):
        yield handle


@contextmanager
def _environment(handle: Kube) -> Iterator[None]:
    """Clients that look for a cluster find this one, also those that have looked already."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in _variables(handle.kubeconfig).items():
            patch.setenv(name, value)
        for name in READ_AT_IMPORT:
            module = sys.modules.get(name)
            if module is not None and hasattr(module, LOCATION):
                patch.setattr(module, LOCATION, handle.kubeconfig)
        yield


@contextmanager
def _watched(request: pytest.FixtureRequest, handle: Kube) -> Iterator[None]:
    handles = request.node.stash.setdefault(_handles, [])
    handles.append(handle)
    try:
        yield
    finally:
        handles.remove(handle)


def _variables(kubeconfig: str) -> dict[str, str]:
    """As `testing.access.variables`, which is imported with a fixture only."""
    variables = {"KUBECONFIG": kubeconfig}
    for name in ("NO_PROXY", "no_proxy"):
        present = [one for one in os.environ.get(name, "").split(",") if one]
        variables[name] = ",".join([*present, *(one for one in ("127.0.0.1", "localhost") if one not in present)])
    return variables
