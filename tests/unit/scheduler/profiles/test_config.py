"""KubeSchedulerConfiguration."""

from __future__ import annotations

from typing import Any

import pytest

from pybernetes.scheduler.plugins import PLUGINS
from pybernetes.scheduler.profiles.config import ConfigError, enabled, parse

from ..make import World, node, pod

HEAD = {"apiVersion": "kubescheduler.config.k8s.io/v1", "kind": "KubeSchedulerConfiguration"}


def profile(**fields: Any) -> dict[str, Any]:
    return {**HEAD, "profiles": [fields]}


def test_the_defaults_are_upstreams() -> None:
    weights = {p.name: p.weight for p in PLUGINS if p.weight}
    assert weights == {
        "TaintToleration": 3,
        "NodeAffinity": 2,
        "NodeResourcesFit": 1,
        "PodTopologySpread": 2,
        "InterPodAffinity": 2,
        "NodeResourcesBalancedAllocation": 1,
        "ImageLocality": 1,
    }
    options = parse(HEAD)
    assert [p.name for p in options.profiles] == ["default-scheduler"]
    assert (options.initial_backoff, options.max_backoff) == (1.0, 10.0)


@pytest.mark.parametrize(
    ("plugins", "score"),
    [
        (
            {"score": {"disabled": [{"name": "*"}], "enabled": [{"name": "ImageLocality", "weight": 7}]}},
            [("ImageLocality", 7)],
        ),
        (
            {"multiPoint": {"disabled": [{"name": "*"}], "enabled": [{"name": "NodeResourcesFit"}]}},
            [("NodeResourcesFit", 0)],
        ),
        (
            {
                "multiPoint": {"disabled": [{"name": "*"}], "enabled": [{"name": "NodeResourcesFit"}]},
                "score": {"enabled": [{"name": "NodeResourcesFit", "weight": 5}]},
            },
            [("NodeResourcesFit", 5)],
        ),
    ],
)
def test_plugins_of_an_extension_point(plugins: dict[str, Any], score: list[tuple[str, int]]) -> None:
    assert enabled(plugins, "score") == score


def test_a_profile_without_a_filter_lets_pods_through() -> None:
    options = parse(profile(plugins={"filter": {"disabled": [{"name": "TaintToleration"}]}})).profiles[0]
    assert World([node("a", taints=["x=y:NoSchedule"])], profile=options).place(pod()) == "a"


def test_arguments_reach_their_plugin() -> None:
    arguments = [{"name": "NodeResourcesFit", "args": {"ignoredResources": ["a.org/x"]}}]
    options = parse(profile(schedulerName="mine", pluginConfig=arguments)).profiles[0]
    assert options.name == "mine"
    assert World([node("a")], profile=options).place(pod(requests={"a.org/x": "1"})) == "a"


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ([], "want KubeSchedulerConfiguration of kubescheduler.config.k8s.io/v1, not no object"),
        (
            {"apiVersion": "v1", "kind": "Pod"},
            "want KubeSchedulerConfiguration of kubescheduler.config.k8s.io/v1, not v1, Pod",
        ),
        ({**HEAD, "extenders": [{}]}, "extenders: not supported"),
        ({**HEAD, "podInitialBackoffSeconds": 20}, "podMaxBackoffSeconds: Invalid value"),
        ({**HEAD, "profiles": [{}, {}]}, "profiles[1].schedulerName: Duplicate value: 'default-scheduler'"),
        (
            profile(plugins={"score": {"enabled": [{"name": "X"}]}}),
            "profiles[0].plugins.score.enabled: Invalid value: 'X'",
        ),
        (profile(plugins={"scores": {}}), 'profiles[0].plugins: unknown field "scores"'),
        (profile(pluginConfig=[{"name": "X"}]), "profiles[0].pluginConfig[0]: Invalid value: 'X'"),
    ],
)
def test_what_cannot_be_used(document: Any, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(document)
    assert message in str(caught.value)
