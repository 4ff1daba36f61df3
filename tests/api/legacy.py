"""Plays tests/golden/legacy: what a real API server answered in the group-versions that left, against one that serves them again.

python -m tests.api.legacy legacy/extensions legacy/psp
"""

from __future__ import annotations

import asyncio
import sys
from dataclasses import replace

from pybernetes.apiserver.server import Options

from . import control, controloptions, golden
from .golden import Outcome, cases, line, outcome, totals

# All that 1.20 still had; what it had left behind is switched off by name.
CONFIG = {"api/legacy": "true"}
LEFT = ("deployments", "daemonsets", "replicasets", "networkpolicies")
CONFIG |= {"apps/v1beta1": "false", "apps/v1beta2": "false"}
CONFIG |= {f"extensions/v1beta1/{resource}": "false" for resource in LEFT}
POLICIES = "legacy/psp/"  # on a server of their own
AT_ONCE = 16
MADE = ("/api/v1/namespaces/{ns}/configmaps/kube-root-ca.crt",)  # by a controller, in each namespace
# Make cluster-wide defaults, or tell of all that there is.
ALONE = ("legacy/admission/", "legacy/networking/ingressclass", "legacy/scheduling/", "legacy/certificates/warnings")
DEFINING = ("legacy/apiextensions/", "legacy/apiregistration/")
PATIENCE = 60.0  # seconds that a step may take to come true


def options() -> Options:
    """Of a server of 2020."""
    return replace(golden.options("kubernetes-admin"), runtime_config=CONFIG)


def policed() -> Options:
    """With the plug-in that left with its policies."""
    usual = options()
    return replace(usual, enable_admission_plugins=(*usual.enable_admission_plugins, "PodSecurityPolicy"))


async def outcomes(names: list[str], patience: float = PATIENCE) -> dict[str, Outcome]:
    """Of each case."""
    results: dict[str, Outcome] = {}
    policies = [name for name in names if name.startswith(POLICIES)]
    alone = [name for name in names if name.startswith(ALONE)]
    rest = [name for name in names if name not in policies and name not in alone]
    places = asyncio.Semaphore(AT_ONCE)
    usual = controloptions.options()
    # The autoscaler of 1.20 first looked after fifteen seconds.
    own = (*usual.controllers, "-horizontal-pod-autoscaler-controller")
    managers = replace(usual, token_secrets=True, controllers=own)

    if policies:
        async with golden.server(server_options=policed) as client:
            for name in policies:
                results[name] = await outcome(client, name, patience)
    if rest or alone:
        async with control.controlled(options=managers, server_options=options) as client:

            async def one(name: str) -> None:
                async with places:
                    results[name] = await outcome(client, name, patience, made=MADE)

            # Definitions come and go: the garbage collector looks for what is there anew, and others wait for it.
            for chosen in (
                [n for n in rest if not n.startswith(DEFINING)],
                [n for n in rest if n.startswith(DEFINING)],
            ):
                await asyncio.gather(*map(one, chosen))
            for name in alone:
                results[name] = await outcome(client, name, patience)
    return results


async def main(folders: list[str]) -> int:
    names = list(cases(*(folders or ["legacy"])))
    found = await outcomes(names)
    for name in names:
        print(line(name, found[name]), flush=True)
        if found[name].inexact:
            print(f"        {found[name].inexact[:300]}")
    print(*totals(found), sep="\n")
    return 0 if not any(result.difference for result in found.values()) else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1:])))
