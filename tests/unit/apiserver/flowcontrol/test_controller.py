"""Which schema, level and queues a request gets, what its objects make of the levels, and what conditions say."""

from __future__ import annotations

from typing import Any

import pytest

from pybernetes.api.wellknown import ALL_AUTHENTICATED, ALL_UNAUTHENTICATED
from pybernetes.apiserver.authentication.user import ANONYMOUS, User
from pybernetes.apiserver.endpoints import requestinfo
from pybernetes.apiserver.flowcontrol import controller, dump, ensuring, status
from pybernetes.apiserver.flowcontrol.bootstrap import AUTOUPDATE, PRIORITY_LEVELS, SCHEMAS
from pybernetes.apiserver.flowcontrol.controller import FlowControl
from pybernetes.apiserver.flowcontrol.droppedrequests import DroppedRequests
from pybernetes.apiserver.flowcontrol.ensuring import Create, Delete, Update
from pybernetes.apiserver.flowcontrol.queueset import Request, State
from pybernetes.apiserver.query import Query

Object = dict[str, Any]


def named(specs: Any) -> list[Object]:
    return [{"metadata": {"name": name, "uid": f"uid-of-{name}"}, "spec": spec} for name, spec in specs.items()]


def control(levels: list[Object] | None = None, schemas: list[Object] | None = None) -> FlowControl:
    made = FlowControl(600, lambda _: None, 0.0)
    made.configure(named(PRIORITY_LEVELS) if levels is None else levels, schemas or named(SCHEMAS), 0.0)
    return made


def placed(of: FlowControl, user: User, method: str, path: str) -> tuple[str, str, str]:
    flow = of.classify(user, requestinfo.parse(method, path, Query()))
    return flow.schema, flow.level.spec.name, flow.distinguisher


NODE = User("system:node:a", ("system:nodes", ALL_AUTHENTICATED))
ACCOUNT = User("system:serviceaccount:shop:web", ("system:serviceaccounts", ALL_AUTHENTICATED))
SYSTEM_ACCOUNT = User("system:serviceaccount:kube-system:dns", ("system:serviceaccounts", ALL_AUTHENTICATED))
ALIKE = User("system:serviceaccount:kube-system-2:dns", ("system:serviceaccounts", ALL_AUTHENTICATED))
MANAGER = User("system:kube-controller-manager", (ALL_AUTHENTICATED,))
PODS, LEASE = "/api/v1/namespaces/default/pods", "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/a"


@pytest.mark.parametrize(
    ("user", "method", "path", "expected"),
    [
        (User("admin", ("system:masters",)), "GET", PODS, ("exempt", "exempt", "")),
        (ANONYMOUS, "GET", "/healthz", ("probes", "exempt", "")),
        (ANONYMOUS, "GET", "/livez/etcd", ("probes", "exempt", "")),
        (ANONYMOUS, "GET", "/healthzz", ("global-default", "global-default", "system:anonymous")),
        (ANONYMOUS, "POST", "/healthz", ("global-default", "global-default", "system:anonymous")),
        (MANAGER, "PUT", LEASE, ("system-leader-election", "leader-election", MANAGER.name)),
        (MANAGER, "DELETE", LEASE, ("kube-controller-manager", "workload-high", "kube-system")),
        (MANAGER, "GET", PODS, ("kube-controller-manager", "workload-high", "default")),
        (SYSTEM_ACCOUNT, "GET", LEASE, ("system-leader-election", "leader-election", SYSTEM_ACCOUNT.name)),
        (SYSTEM_ACCOUNT, "GET", "/apis", ("kube-system-service-accounts", "workload-high", "")),
        (ALIKE, "GET", LEASE, ("service-accounts", "workload-low", ALIKE.name)),
        (ACCOUNT, "GET", PODS, ("service-accounts", "workload-low", ACCOUNT.name)),
        (NODE, "PATCH", "/api/v1/nodes/a/status", ("system-node-high", "node-high", NODE.name)),
        (NODE, "GET", "/api/v1/nodes/a/proxy", ("system-nodes", "system", NODE.name)),
        (NODE, "PUT", LEASE, ("system-node-high", "node-high", NODE.name)),
        (NODE, "GET", PODS, ("system-nodes", "system", NODE.name)),
        (User("kim", (ALL_AUTHENTICATED,)), "GET", PODS, ("global-default", "global-default", "kim")),
        (User("nobody", ()), "GET", PODS, ("catch-all", "catch-all", "")),  # no schema is of it: the last one
    ],
)
def test_where_requests_go(user: User, method: str, path: str, expected: tuple[str, str, str]) -> None:
    assert placed(control(), user, method, path) == expected


def test_without_any_object_the_mandatory_ones_are_there() -> None:
    bare = FlowControl(600, lambda _: None, 0.0)
    assert placed(bare, User("admin", ("system:masters",)), "GET", PODS)[:2] == ("exempt", "exempt")
    assert placed(bare, ANONYMOUS, "GET", PODS)[:2] == ("catch-all", "catch-all")
    assert bare.levels["catch-all"].queues.limit == 600


def test_the_answer_s_headers_name_both_by_uid() -> None:
    flow = control().classify(ANONYMOUS, requestinfo.parse("GET", PODS, Query()))
    assert [value for _, value in flow.headers] == ["uid-of-global-default", "uid-of-global-default"]


def own(name: str, level: str, precedence: int) -> Object:
    groups = [{"kind": "Group", "group": {"name": name}} for name in (ALL_AUTHENTICATED, ALL_UNAUTHENTICATED)]
    rule = {"verbs": ["list"], "apiGroups": ["*"], "resources": ["pods"], "namespaces": ["default"]}
    spec = {
        "priorityLevelConfiguration": {"name": level},
        "matchingPrecedence": precedence,
        "rules": [{"subjects": groups, "resourceRules": [rule]}],
    }
    return {"metadata": {"name": name, "uid": ""}, "spec": spec}


def test_precedence_then_name_and_no_schema_of_a_missing_level() -> None:
    schemas = [*named(SCHEMAS), own("b", "system", 50), own("a", "workload-low", 50), own("first", "gone", 10)]
    made = control(schemas=schemas)
    assert placed(made, ANONYMOUS, "GET", PODS)[:2] == ("a", "workload-low")
    assert placed(made, ANONYMOUS, "GET", "/api/v1/pods")[0] == "global-default"  # not of the cluster's scope
    assert placed(made, ANONYMOUS, "GET", f"{PODS}/a")[0] == "global-default"
    made.configure(named(PRIORITY_LEVELS), named(SCHEMAS), 1.0)
    assert placed(made, ANONYMOUS, "GET", PODS)[0] == "global-default"  # nothing of what was worked out before holds


def test_flows_are_remembered_within_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(controller, "FLOWS", 10)
    made = control()
    for number in range(50):
        placed(made, User(f"u{number}", (ALL_AUTHENTICATED,)), "GET", PODS)
        placed(made, ANONYMOUS, "GET", "/" + "x" * (2000 + number))
        assert len(made._flows) <= 10


def test_a_level_that_is_gone_serves_what_it_has() -> None:
    levels = {**PRIORITY_LEVELS, "mine": PRIORITY_LEVELS["system"]}
    made = control(named(levels))
    mine = made.levels["mine"]
    one = Request("s", "")
    mine.queues.start(one, (0,), 0.0)
    made.configure(named(PRIORITY_LEVELS), named(SCHEMAS), 1.0)
    assert (mine.quiescing, made.superfluous) == (True, False)
    [line] = [line.split() for line in dump.levels(made).splitlines() if line.startswith("mine,")]
    assert line[2:6] == ["false,", "true,", "0,", "1,"]
    mine.queues.finish(one, 2.0)
    assert made.superfluous
    made.configure(named(PRIORITY_LEVELS), named(SCHEMAS), 3.0)
    assert "mine" not in made.levels


def test_seats_are_lent_to_who_wants_them() -> None:
    """global-default has 49, and wants 200; workload-low lends what it may. When it wants them back, it has them at once."""
    made = control()
    low, default = made.levels["workload-low"], made.levels["global-default"]
    before = default.queues.limit
    requests = [Request("s", str(number)) for number in range(200)]
    for number, one in enumerate(requests):
        default.queues.start(one, (number % 128,), 1.0)
    assert default.queues.executing == before
    dispatched = made.adjust(11.0)
    assert default.queues.limit > 150
    assert len(dispatched) == 200 - before
    assert sum(one.queues.limit for one in made.levels.values()) <= 602 + len(made.levels)  # each is rounded
    for number in range(240):
        low.queues.start(Request("t", str(number)), (number % 128,), 12.0)
    made.adjust(21.0)
    assert low.queues.limit >= 240
    assert default.queues.limit < 300


def test_what_was_used_is_told_by_the_seats_that_there_were() -> None:
    """However late: whoever reads the metrics asks for it."""
    told: list[tuple[str, int, int, float]] = []
    made = FlowControl(
        600,
        lambda _: None,
        0.0,
        lambda level, state, seconds: told.append((level.spec.name, state[1], level.queues.limit, seconds)),
    )
    made.configure(named(PRIORITY_LEVELS), named(SCHEMAS), 0.0)
    default = made.levels["global-default"]
    before = default.queues.limit
    for number in range(200):
        default.queues.start(Request("s", str(number)), (number % 128,), 5.0)
    made.adjust(11.0)
    after = default.queues.limit
    made.adjust(21.0)
    made.adjust(31.0)
    default.queues.occupancy.flush()
    used = [(seats, limit, seconds) for name, seats, limit, seconds in told if name == "global-default" and seconds]
    assert used == [(0, before, 5.0), (before, before, 6.0), (200, after, 20.0)]


def test_nothing_is_adjusted_where_all_want_what_they_did() -> None:
    made = control()
    made.adjust(10.0)
    limits = {name: level.queues.limit for name, level in made.levels.items()}
    assert made.adjust(20.0) == []
    assert {name: level.queues.limit for name, level in made.levels.items()} == limits
    assert all(level.demand.average == 0.0 for level in made.levels.values())


@pytest.mark.parametrize(
    ("level", "conditions", "expected"),
    [
        ("there", [], "False Found"),
        ("gone", [], "True NotFound"),
        ("gone", [{"type": "Dangling", "status": "False", "reason": "Found", "message": "?"}], "True NotFound"),
        ("", [], "True NotFound"),
    ],
)
def test_dangling(level: str, conditions: list[Object], expected: str) -> None:
    schema = {
        "metadata": {"name": "s"},
        "spec": {"priorityLevelConfiguration": {"name": level}},
        "status": {"conditions": conditions},
    }
    [update] = status.plan([schema], {"there"}, "2030-01-01T00:00:00Z")
    assert f"{update.condition['status']} {update.condition['reason']}" == expected
    assert f'named "{level}"' in update.condition["message"]
    schema["status"] = {"conditions": [{**update.condition, "lastTransitionTime": "2029-01-01T00:00:00Z"}]}
    assert status.plan([schema], {"there"}, "2030-01-01T00:00:00Z") == []


def test_servers_that_disagree_write_slower() -> None:
    pace = status.Pace()
    assert [pace.may("a", float(second)) for second in range(8)] == [True] * 6 + [False] * 2
    assert pace.may("b", 8.0)
    assert pace.may("a", 70.0)
    pace.keep({"b"})
    assert list(pace._updates) == ["b"]


SPEC: Object = {"a": 1}


def present(name: str, annotation: str | None, generation: int = 1, spec: Object | None = None) -> Object:
    annotations = {} if annotation is None else {"annotations": {AUTOUPDATE: annotation}}
    metadata = {"name": name, "generation": generation, "resourceVersion": "7", **annotations}
    return {"metadata": metadata, "spec": spec or {"a": 2}}


@pytest.mark.parametrize(
    ("obj", "expected"),
    [
        (present("s", "true"), (SPEC, "true")),
        (present("s", "true", spec=SPEC), None),
        (present("s", "false"), None),
        (present("s", "false", 5), None),
        (present("s", None, 1), (SPEC, "true")),
        (present("s", None, 2), ({"a": 2}, "false")),
        (present("s", "perhaps", 2), ({"a": 2}, "false")),
        (present("exempt", "false"), (SPEC, "true")),  # mandatory: whatever it says
        (present("exempt", "false", spec=SPEC), (SPEC, "true")),
    ],
)
def test_what_is_kept_as_it_should(obj: Object, expected: tuple[Object, str] | None) -> None:
    name = obj["metadata"]["name"]
    actions = ensuring.plan({name: SPEC}, [obj])
    if expected is None:
        assert actions == []
        return
    [action] = actions
    assert isinstance(action, Update)
    assert (action.obj["spec"], action.obj["metadata"]["annotations"][AUTOUPDATE]) == expected


def test_missing_ones_are_made_and_old_ones_go() -> None:
    actions = ensuring.plan({"s": SPEC}, [present("old", "true"), present("mine", "false"), present("other", None)])
    made = {"metadata": {"name": "s", "annotations": {AUTOUPDATE: "true"}}, "spec": SPEC}
    assert actions == [Create(made), Delete("old", "7")]


def test_shares_of_exempt_are_the_operator_s() -> None:
    set_by_hand = {"type": "Exempt", "exempt": {"nominalConcurrencyShares": 9, "lendablePercent": 10}}
    assert ensuring.plan({"exempt": PRIORITY_LEVELS["exempt"]}, [present("exempt", "true", spec=set_by_hand)]) == []


def test_who_is_refused_much_is_told_to_stay_away_longer() -> None:
    dropped = DroppedRequests()
    # Three in a second: twice as long; not again before that time is over, and then for twice as many.
    told = [[dropped.record(second) for _ in range(count)][-1] for second, count in enumerate([3, 3, 6, 6, 1])]
    assert told == [1, 2, 2, 4, 4]
    for second in range(100, 400):
        for _ in range(200):
            last = dropped.record(second)
    assert last == 32
    assert len(dropped._history) <= 33
    for second in range(1000, 1100, 2):
        last = dropped.record(second)
    assert last <= 2


def test_a_table_as_tabwriter_aligns_it() -> None:
    assert dump.table(("A", "Name", "Last"), [("a", "longer-name", ""), ("bb", "", "x")]) == (
        "A,      Name,        Last\na,      longer-name, \nbb,     ,            x\n"
    )


def test_what_waits_is_shown_with_its_place() -> None:
    made = control()
    queues = made.levels["system"].queues
    queues.limit = 1
    for number in range(3):
        queues.start(Request("schema", f"u{number}"), (5,), float(number))
    lines = dump.queues(made).splitlines()
    assert len(lines) == 1 + 64 + 64 + 16 + 128 * 3
    [busy] = [line.split() for line in lines if line.startswith("system,") and line.split()[1] == "5,"]
    assert busy[:5] == ["system,", "5,", "2,", "1,", "1,"]
    assert busy[6:] == ["2,", "2,", "0.00600000ss"]
    assert {one.state for one in queues.backlog[5].waiting} == {State.WAITING}
