"""The Grafana dashboard: every figure it asks for is one the app exports, and every one exported is shown."""

from __future__ import annotations

import json
import re
from itertools import combinations
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from catvton.service.app import Service
from catvton.settings import Settings
from tests.web_fakes import FakeTryOn

DASHBOARD = Path(__file__).resolve().parent.parent / "resource" / "grafana" / "catvton.json"
TARGET = {"job", "instance"}  # what Prometheus itself adds to every sample


@pytest.fixture(scope="module")
def dashboard() -> dict:
    return json.loads(DASHBOARD.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def exported() -> dict[str, set[str]]:
    """{sample name: its labels} of a service in which everything has happened once."""
    service = Service(Settings(_env_file=None), FakeTryOn())
    figures = service.metrics
    with figures.run("page"):
        pass
    figures.refused("queue.full")
    figures.took({"generate": 1.0})
    figures.answers.labels("/", "GET", "200").inc()
    figures.outages.inc()
    families = text_string_to_metric_families(figures.text().decode())
    return {sample.name: set(sample.labels) for family in families for sample in family.samples}


def queries(dashboard: dict) -> list[str]:
    asked = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    return asked + [variable["query"]["query"] for variable in dashboard["templating"]["list"]
                    if variable["type"] == "query"]


def test_every_figure_asked_for_is_exported_with_the_labels_asked_for(dashboard, exported):
    for query in queries(dashboard):
        for name, labels in re.findall(r"(catvton_\w+)(?:\{([^}]*)\})?", query):
            assert name in exported, f"{name} is not exported: {query}"
            assert set(re.findall(r'(\w+)(?:=~|!~|!=|=)"', labels)) <= exported[name] | TARGET, query
        grouped = {label.strip() for found in re.findall(r"by \(([^)]*)\)", query) for label in found.split(",")}
        known = set().union(*(exported[name] for name in re.findall(r"catvton_\w+", query)))
        assert grouped <= known | TARGET, query


def test_every_label_a_legend_names_is_left_in_its_query(dashboard):
    for panel in dashboard["panels"]:
        for target in panel["targets"]:
            for label in re.findall(r"{{(\w+)}}", target["legendFormat"]):
                assert re.search(rf"by \([^)]*\b{label}\b", target["expr"]) or label in TARGET, target


def test_everything_exported_is_on_the_dashboard(dashboard, exported):
    shown = set(re.findall(r"catvton_\w+", " ".join(queries(dashboard))))
    families = {re.sub(r"_(total|created|bucket|sum|count)$", "", name) for name in exported}
    assert {name for name in families if not any(each.startswith(name) for each in shown)} == set()


def test_every_query_is_well_formed_and_follows_the_chosen_replicas(dashboard):
    for panel in dashboard["panels"]:
        for target in panel["targets"]:
            query = target["expr"]
            assert all(query.count(pair[0]) == query.count(pair[1]) for pair in ("()", "{}", "[]")), query
            selectors = re.findall(r"catvton_\w+(\{[^}]*\})?", query)
            assert all('instance=~"$instance"' in each and 'job=~"$job"' in each for each in selectors), query
            counters = re.findall(r"(\w+)\(catvton_\w+_(?:total|sum|count|bucket)\b", query)
            assert set(counters) <= {"rate", "increase"}, query  # a counter alone only grows


def test_panels_have_numbers_of_their_own_and_do_not_overlap(dashboard):
    panels = dashboard["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    for one, other in combinations((panel["gridPos"] for panel in panels), 2):
        apart = (one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
                 or one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"])
        assert apart, (one, other)
    assert all(panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24 for panel in panels)
