"""`pybernetes config`: configuration files of init and join, and the images of a cluster (upstream: cmd/kubeadm/app/cmd/config.go)."""

from __future__ import annotations

from pathlib import Path

from pybernetes.component import flags, subcommands
from pybernetes.component.command import Failure, UsageError
from pybernetes.component.flags import Flag, Values
from pybernetes.component.subcommands import Group, Subcommand

from . import deployflags, kubeadmflags

PROGRAM = "pybernetes config"
PRINT_FLAGS = (
    flags.refused("component-configs", flags.strings, "/configz of a running kubelet shows its KubeletConfiguration"),
)
OLD = Flag("old-config", flags.string, "", "Path to the file that is in an older version; - for standard input.")
NEW = Flag("new-config", flags.string, "", "Path to the file to be written; standard output where it is not set.")
IMAGES_FLAGS = (
    deployflags.CONFIG,
    kubeadmflags.IMAGE_REPOSITORY,
    kubeadmflags.FEATURE_GATES,
    kubeadmflags.CRI_SOCKET,
    deployflags.VERSION,
    Flag("static-pods", flags.boolean, False, "Of a cluster whose control plane runs in static pods."),
)


def main(arguments: list[str]) -> int:
    """Exit code 2 for a file that cannot be used."""
    return subcommands.main(PROGRAM, _commands(), arguments)


def _commands() -> Group:
    return Group(
        "Configuration files, in kubeadm's form, and what images they mean.",
        {
            "print": Group(
                "Print default configurations.",
                {
                    "init-defaults": Subcommand("Of init", PRINT_FLAGS, _init_defaults),
                    "join-defaults": Subcommand("Of join", PRINT_FLAGS, _join_defaults),
                },
            ),
            "migrate": Subcommand("Write a file of an older version in today's", (OLD, NEW), _migrate),
            "validate": Subcommand("Read a file, and say what is wrong with it", (deployflags.CONFIG,), _validate),
            "images": Group(
                "The images that a cluster runs.",
                {
                    "list": Subcommand("Their names", IMAGES_FLAGS, _list_images),
                    "pull": Subcommand("Nothing is pulled: they are packed on each host", IMAGES_FLAGS, _pull_images),
                },
            ),
        },
    )


def _init_defaults(values: Values) -> None:
    from pybernetes.deploy import configtexts

    print(configtexts.init_defaults(), end="")


def _join_defaults(values: Values) -> None:
    from pybernetes.deploy import configtexts

    print(configtexts.join_defaults(), end="")


def _migrate(values: Values) -> None:
    from pybernetes.deploy import configtexts
    from pybernetes.deploy.configuration import ConfigurationError

    if not values["old-config"]:
        raise UsageError("the --old-config flag is mandatory")
    try:
        text = configtexts.migrated(deployflags.config_text(values["old-config"], OLD.name))
    except ConfigurationError as error:
        raise UsageError(f"--old-config={values['old-config']}: {error}") from error
    if not values["new-config"]:
        print(text, end="")
        return
    try:
        Path(values["new-config"]).write_text(text)
    except OSError as error:
        raise Failure(f"--new-config={values['new-config']}: {error.strerror}") from error


def _validate(values: Values) -> None:
    from pybernetes.deploy import configtexts
    from pybernetes.deploy.configuration import ConfigurationError

    if not values["config"]:
        raise UsageError("the --config flag is mandatory")
    try:
        configtexts.check(deployflags.config_text(values["config"]))
    except ConfigurationError as error:
        raise UsageError(f"--config={values['config']}: {error}") from error
    print("ok")


def _list_images(values: Values) -> None:
    from pybernetes.cluster import image
    from pybernetes.cluster.assembly.addons import dns_image
    from pybernetes.kubelet.runtime import pause

    configuration = deployflags.configuration(values)
    own = [image.ADD_ONS.full_name, *([image.CONTROL_PLANE.full_name] if values["static-pods"] else []), pause.IMAGE]
    foreign = dns_image(configuration.cluster)
    for name in [*own, *([foreign] if foreign else [])]:
        print(name)


def _pull_images(values: Values) -> None:
    from pybernetes.cluster.assembly.addons import dns_image

    foreign = dns_image(deployflags.configuration(values).cluster)
    print(
        "[config/images] The project's own images are packed on each host by init and join: there is no registry to pull from"
    )
    if foreign:
        print(
            f"[config/images] {foreign} is pulled by the kubelets that run it; `docker pull {foreign}` has it here before"
        )
