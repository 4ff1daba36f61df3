"""One module a plug-in; `PLUGINS` is the list of them, in the order in which they are asked."""

from __future__ import annotations

from ..framework.interface import Plugin
from .defaultbinder import DefaultBinder
from .defaultpreemption import DefaultPreemption
from .imagelocality import ImageLocality
from .interpodaffinity import InterPodAffinity
from .nodeaffinity import NodeAffinity
from .nodename import NodeName
from .nodeports import NodePorts
from .noderesourcesbalancedallocation import NodeResourcesBalancedAllocation
from .noderesourcesfit import NodeResourcesFit
from .nodeunschedulable import NodeUnschedulable
from .nodevolumelimits import NodeVolumeLimits
from .podtopologyspread import PodTopologySpread
from .prioritysort import PrioritySort
from .schedulinggates import SchedulingGates
from .tainttoleration import TaintToleration
from .volumebinding import VolumeBinding
from .volumerestrictions import VolumeRestrictions
from .volumezone import VolumeZone

PLUGINS: tuple[type[Plugin], ...] = (  # upstream's order (apis/config/v1/default_plugins.go)
    SchedulingGates,
    PrioritySort,
    NodeUnschedulable,
    NodeName,
    TaintToleration,
    NodeAffinity,
    NodePorts,
    NodeResourcesFit,
    VolumeRestrictions,
    NodeVolumeLimits,
    VolumeBinding,
    VolumeZone,
    PodTopologySpread,
    InterPodAffinity,
    DefaultPreemption,
    NodeResourcesBalancedAllocation,
    ImageLocality,
    DefaultBinder,
)
