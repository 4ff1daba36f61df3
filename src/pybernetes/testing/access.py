"""What one user has to reach a cluster by: address, kubeconfig, token, clients, kubectl."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import Any

import yaml

from . import clients
from .clients import Clients

__tracebackhide__ = True  # as in kube.py

KUBECTL_SECONDS = 120.0
LOCAL = ("127.0.0.1", "localhost")


class KubectlError(RuntimeError):
    """kubectl has failed; the text is what it wrote to stderr."""

    def __init__(self, arguments: tuple[str, ...], code: int, output: str, errors: str) -> None:
        super().__init__(f"kubectl {' '.join(arguments)}: exit code {code}: {errors.strip() or output.strip()}")
        self.code, self.output, self.errors = code, output, errors


class Access:
    """`kubeconfig` and `ca_file` are paths; `token` is for clients that read no kubeconfig."""

    def __init__(
        self, username: str, url: str, kubeconfig: str, token: str, ca_file: str, namespace: str, clients: Clients
    ) -> None:
        self.username, self.url, self.namespace = username, url, namespace
        self.kubeconfig, self.token, self.ca_file = kubeconfig, token, ca_file
        self._made = clients

    @property
    def environment(self) -> dict[str, str]:
        """This process's, with KUBECONFIG and NO_PROXY for the cluster: for the `env` of subprocesses."""
        return {**os.environ, **variables(self.kubeconfig)}

    def client(self, library: str = "") -> Any:
        """A client of kubernetes (an ApiClient), lightkube or kr8s; of the first that is installed. Closed with the cluster. WrongArgument."""
        return self._made.keep(clients.make(self, library, clients.CLIENTS))

    def async_client(self, library: str = "") -> Any:
        """As `client`, of kubernetes_asyncio (an ApiClient), lightkube (AsyncClient) or kr8s (to be awaited). The caller closes it."""
        return clients.make(self, library, clients.ASYNC_CLIENTS)

    def kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        """What it prints. KubectlError where it fails; FileNotFoundError where it is not installed."""
        command = shutil.which("kubectl")
        if command is None:
            raise FileNotFoundError("kubectl is not on the PATH: install it, or use apply(), get() and list()")
        place = ("--kubeconfig", self.kubeconfig)
        done = subprocess.run(
            [command, *place, *arguments],
            input=stdin if stdin is not None else "",
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=KUBECTL_SECONDS,
        )
        if done.returncode:
            raise KubectlError(arguments, done.returncode, done.stdout, done.stderr)
        return done.stdout


def variables(kubeconfig: str) -> dict[str, str]:
    """The environment variables by which clients find a cluster on this machine, past any proxy."""
    environment = {"KUBECONFIG": kubeconfig}
    for name in ("NO_PROXY", "no_proxy"):
        present = [one for one in os.environ.get(name, "").split(",") if one]
        environment[name] = ",".join([*present, *(one for one in LOCAL if one not in present)])
    return environment


def in_namespace(kubeconfig: str, namespace: str) -> str:
    """The text of a kubeconfig whose contexts are of a namespace."""
    config = yaml.safe_load(kubeconfig)
    for context in config["contexts"]:
        context["context"]["namespace"] = namespace
    return yaml.safe_dump(config)
