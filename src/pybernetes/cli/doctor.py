"""`pybernetes doctor`: what is wrong with this host, and what to do about it."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path

from pybernetes.component import command, flags
from pybernetes.component.command import UsageError
from pybernetes.component.flags import Flag, Values

from . import deployflags

PROGRAM = "pybernetes doctor"
FLAGS = (
    deployflags.KUBECONFIG_DIR,
    Flag("kubeconfig", flags.string, "", "To ask the API server with; default: admin.conf or kubelet.conf of --kubeconfig-dir."),
    Flag("root-dir", flags.string, "/var/lib/kubelet", "The kubelet's directory."),
    deployflags.NODE_NAME,
    Flag("output", flags.string, "text", "Output format. One of: text|json.", short="o"),
)  # fmt: skip


def main(arguments: list[str]) -> int:
    """0 if nothing is wrong, 1 if something is, 0 with warnings alone."""
    return command.once(PROGRAM, FLAGS, run, arguments)


def run(values: Values) -> int:
    from pybernetes.deploy import diagnosis, doctor

    if values["output"] not in ("text", "json"):
        raise UsageError(f"--output={values['output']}: want text or json")
    folder = Path(values["kubeconfig-dir"])
    choices = [folder / "admin.conf", folder / "kubelet.conf"]
    asked = (
        Path(values["kubeconfig"])
        if values["kubeconfig"]
        else next((path for path in choices if path.exists()), choices[0])
    )
    name = (values["node-name"] or os.uname().nodename).strip().lower()
    facts = doctor.gathered(asked, folder, Path(values["root-dir"]), name)
    findings = diagnosis.diagnose(facts, datetime.now(UTC))
    if values["output"] == "json":
        fields = ("level", "about", "what", "remedy")
        print(json.dumps([{field: getattr(one, field) for field in fields} for one in findings], indent=2))
    else:
        roles = ", ".join(sorted(facts.roles)) or f"no part of a cluster: nothing of init or join is in {folder}"
        print(f"this host: {roles}")
        for one in findings:
            print(f"{one.level.upper():<7}  {one.about}: {one.what}\n         -> {one.remedy}")
        if not findings:
            print("nothing is wrong")
    return 1 if any(one.level == "error" for one in findings) else 0
