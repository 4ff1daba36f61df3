"""Our kube-controller-manager, kube-scheduler and hollow nodes on upstream's kube-apiserver of 1.20, which has budgets, cron jobs, slices
and autoscalers in older versions alone: they do all their work, and say once in what version they found them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from .parts import cluster, wait, why_not
from .test_controllers import TESTS, WORKLOADS

WHY_NOT = why_not("kube-apiserver", "kubeadm", "kubectl") or ("" if shutil.which("etcd") else "etcd is not installed")
pytestmark = pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT or "all of it is there")


def test_they_do_all_their_work(tmp_path: Path) -> None:
    with cluster(tmp_path) as one:
        one.upstream_api_server()
        log = one.our_controller_manager()
        one.our_scheduler()
        one.hollow_nodes(2)
        wait("the nodes", lambda: len(one.items("nodes")) == 2)
        one.kubectl("apply", "-f", "-", stdin=WORKLOADS)
        for what, condition in TESTS.items():
            wait(what, lambda condition=condition: condition(one))  # type: ignore[misc]
        jobs = [job for job in one.items("-nw", "jobs") if job["metadata"]["name"].startswith("often-")]
        assert {job["metadata"]["ownerReferences"][0]["apiVersion"] for job in jobs} == {"batch/v1beta1"}
        one.kubectl("-nw", "delete", "cronjob", "often", "--cascade=foreground", "--timeout=60s")
        assert [job for job in one.items("-nw", "jobs") if job["metadata"]["name"].startswith("often-")] == []
        one.kubectl("-nw", "delete", "deployment", "web", "--cascade=foreground", "--timeout=60s")
        assert one.items("-nw", "pods", "-lapp=web") == one.items("-nw", "rs") == []
        one.kubectl("delete", "namespace", "w", "--timeout=80s")
        wait("the volume", lambda: one.get("pv", "disk")["status"]["phase"] == "Released")
        told = log.read_text()
        for kind in ("PodDisruptionBudget in policy/v1beta1", "CronJob in batch/v1beta1", "EndpointSlice in discovery"):
            assert told.count(f"the server has {kind}") >= 1
        assert "Traceback" not in told
