"""Dashboards and rules: built from their builders, linted without exclusions, on metrics that exist."""

import json
import re

import promql_parser
import pytest

from dashboards.build import BUILDERS, GRAFANA, render
from gateway.metrics import CATALOGUE
from tests.support.house import ROOT
from tests.support.promql import grafana_macros, metric_names, selectors

DASHBOARDS = sorted(GRAFANA.glob("*.json"))
RULES = sorted((ROOT / "dashboards" / "rules").glob("*.yml"))
KNOWN = {metric.name for metric in CATALOGUE}
COUNTED = re.compile(r"(rate|irate|increase)\(")


def panels(path):
    return json.loads(path.read_text("utf-8"))["panels"]


def expressions(path):
    return [target["expr"] for panel in panels(path) for target in panel["targets"]]


def rule_expressions(path):
    text = path.read_text("utf-8")
    found = re.findall(r"expr: (?:>-\n((?:          .*\n)+)|(.*))", text)
    return [(folded or plain).strip() for folded, plain in found]


def test_the_committed_dashboards_are_those_of_the_builders():
    assert {path.stem for path in DASHBOARDS} == set(BUILDERS)
    for path in DASHBOARDS:
        assert path.read_text("utf-8") == render(path.stem), "run: python -m dashboards.build"


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda p: p.stem)
def test_a_dashboard_answers_one_question(path):
    board = json.loads(path.read_text("utf-8"))
    assert board["schemaVersion"] == 42
    assert board["description"]
    assert board["uid"]
    assert board.get("editable") is False
    assert len(board["panels"]) <= 20
    assert sum(len(panel["targets"]) for panel in board["panels"]) <= 25
    names = {variable["name"]: variable for variable in board["templating"]["list"]}
    assert {"datasource", "job", "instance"} <= set(names)
    assert all(v["refresh"] == 2 for v in names.values() if v["type"] == "query"), "variables follow the time range"


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda p: p.stem)
def test_every_panel_says_what_it_shows(path):
    for panel in panels(path):
        about = panel.get("title")
        assert about, panel
        assert re.search(r"[\u4e00-\u9fff]", about), about
        assert panel.get("description"), about
        assert panel["fieldConfig"]["defaults"].get("unit"), about
        assert panel["datasource"]["uid"] == "${datasource}", about
        assert panel["targets"], about
        assert all(target["datasource"]["uid"] == "${datasource}" for target in panel["targets"]), about


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda p: p.stem)
def test_every_query_parses_and_is_bound_to_job_and_instance(path):
    for expression in expressions(path):
        found = list(selectors(expression))
        assert found or "vector(" in expression, expression
        for selector in found:
            bound = {matcher.name for matcher in selector.matchers.matchers}
            assert {"job", "instance"} <= bound, expression


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda p: p.stem)
def test_counters_are_read_as_rates_and_ranges_follow_the_screen(path):
    for expression in expressions(path):
        for name in re.findall(r"\b(silian_\w+_(?:total|bucket))\b", expression):
            assert re.search(rf"(rate|irate|increase)\({name}", expression), expression
        if COUNTED.search(expression):
            assert "$__rate_interval" in expression, expression


def test_a_ranking_stands_only_where_one_moment_is_asked():
    for path in DASHBOARDS:
        for panel in panels(path):
            for target in panel["targets"]:
                assert "topk" not in target["expr"] or target.get("instant"), f"{panel['title']}: members would change"


@pytest.mark.parametrize("path", [*DASHBOARDS, *RULES], ids=lambda p: p.name)
def test_every_metric_exists(path):
    found = expressions(path) if path.suffix == ".json" else rule_expressions(path)
    assert found
    unknown = {name for expression in found for name in metric_names(expression)} - KNOWN
    assert not unknown, f"not in a catalogue: {unknown}"


@pytest.mark.parametrize("path", RULES, ids=lambda p: p.stem)
def test_every_alert_has_words_a_runbook_and_a_test(path):
    text = path.read_text("utf-8")
    tests = (ROOT / "dashboards" / "tests" / f"{path.stem}_test.yml").read_text("utf-8")
    runbook = (ROOT / "deploy" / "RUNBOOK.md").read_text("utf-8")
    alerts = re.findall(r"- alert: (\w+)", text)
    assert alerts
    assert len(rule_expressions(path)) == len(alerts)
    assert text.count("summary:") == text.count("description:") == text.count("runbook_url:") == len(alerts)
    for alert in alerts:
        assert alert in tests, f"{alert} has no promtool test"
    for anchor in re.findall(r"runbook_url: deploy/RUNBOOK\.md#([\w-]+)", text):
        assert f'<a id="{anchor}"></a>' in runbook, f"the runbook has no section {anchor}"
    for expression in rule_expressions(path):
        promql_parser.parse(grafana_macros(expression))
