"""Names follow the API server: a Service is answered for as soon as the watch has told it, and no more when it is gone."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pybernetes import testing
from pybernetes.dns import wire
from pybernetes.dns.app import App

from ..unit.dns.test_app import ask

SERVICE = """
apiVersion: v1
kind: Service
metadata: {name: web, namespace: default}
spec: {clusterIP: None, ports: [{name: http, port: 80}]}
"""
SLICE = """
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: web-1, namespace: default, labels: {kubernetes.io/service-name: web}}
addressType: IPv4
endpoints: [{addresses: [ADDRESS]}]
ports: [{name: http, port: 80}]
"""
COREFILE = ".:0 {\n bind 127.0.0.1\n kubernetes cluster.local {\n kubeconfig kubeconfig\n }\n}"


def test_names_follow(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "Corefile").write_text(COREFILE)

    async def scenario(kube: testing.Kube) -> list[float]:
        app = App(tmp_path / "Corefile", 53)
        await app.start()
        (listener,) = app.listeners.values()

        async def seconds(change: Callable[[], object], last: int | None) -> float:
            """Until the answer is this one."""
            await asyncio.to_thread(change)
            began = time.monotonic()
            async with asyncio.timeout(60):
                while True:
                    answer = (await ask(listener.port, "web.default.svc.cluster.local.")).answer
                    if (answer.answer[0].data[-1] if answer.answer else None) == last:
                        assert answer.rcode == (wire.NOERROR if answer.answer else wire.NXDOMAIN)
                        return time.monotonic() - began
                    await asyncio.sleep(0.002)

        try:
            return [
                await seconds(lambda: kube.apply(SERVICE + "---" + SLICE.replace("ADDRESS", "10.1.0.1")), 1),
                await seconds(lambda: kube.apply(SLICE.replace("ADDRESS", "10.1.0.2")), 2),
                await seconds(lambda: kube.delete("endpointslice", "web-1"), None),
            ]
        finally:
            await app.stop()

    with testing.Cluster() as kube:
        shutil.copy(kube.kubeconfig, tmp_path / "kubeconfig")
        times = asyncio.run(scenario(kube))
    print(f"seconds until changes are answered: {', '.join(f'{each:.3f}' for each in times)}")
