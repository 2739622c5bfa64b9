"""Shared pieces of all dashboards: templated data source and selectors, panels that always carry unit and words."""

from collections.abc import Sequence

from grafana_foundation_sdk.builders import common, dashboard, prometheus, stat, statetimeline, table, timeseries
from grafana_foundation_sdk.models import common as common_models
from grafana_foundation_sdk.models import dashboard as models

SOURCE = models.DataSourceRef(type_val="prometheus", uid="${datasource}")
HERE = 'job=~"$job",instance=~"$instance"'
GREEN, ORANGE, RED = "green", "orange", "red"


def variables(metric: str) -> list[dashboard.DatasourceVariable | dashboard.QueryVariable]:
    """Return the variables data source, job and instance; jobs and instances are those that export `metric`."""
    return [
        dashboard.DatasourceVariable("datasource").label("数据源").type("prometheus"),
        _query("job", "任务", f"label_values({metric}, job)"),
        _query("instance", "平台", f'label_values({metric}{{job=~"$job"}}, instance)'),
    ]


def _query(name: str, label: str, query: str) -> dashboard.QueryVariable:
    return (
        dashboard.QueryVariable(name)
        .label(label)
        .datasource(SOURCE)
        .query(query)
        .refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(models.VariableSort.ALPHABETICAL_ASC)
        .include_all(include_all=False)
        .multi(multi=False)
    )


def query(expression: str, legend: str = "", *, now: bool = False) -> prometheus.Dataquery:
    """Return one PromQL query; `now` asks for the present value only."""
    built = prometheus.Dataquery().datasource(SOURCE).expr(expression).legend_format(legend)
    return built.instant() if now else built.range()


def steps(*edges: tuple[float | None, str]) -> dashboard.ThresholdsConfig:
    """Return absolute thresholds: the first edge is None."""
    return (
        dashboard.ThresholdsConfig()
        .mode(models.ThresholdsMode.ABSOLUTE)
        .steps([models.Threshold(value=value, color=colour) for value, colour in edges])
    )


def number(title: str, words: str, expression: str, unit: str, edges: dashboard.ThresholdsConfig) -> stat.Panel:
    """Return one big figure."""
    return (
        stat.Panel()
        .title(title)
        .description(words)
        .datasource(SOURCE)
        .unit(unit)
        .thresholds(edges)
        .color_mode(common_models.BigValueColorMode.BACKGROUND)
        .graph_mode(common_models.BigValueGraphMode.NONE)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
        .with_target(query(expression, now=True))
        .height(4)
        .span(4)
    )


def curves(title: str, words: str, unit: str, queries: Sequence[tuple[str, str]], span: int = 12) -> timeseries.Panel:
    """Return lines over time; each query comes with its legend."""
    panel = timeseries.Panel().title(title).description(words).datasource(SOURCE).unit(unit).height(8).span(span)
    panel = panel.min(0).fill_opacity(8).show_points(common_models.VisibilityMode.NEVER)
    for expression, legend in queries:
        panel = panel.with_target(query(expression, legend))
    return panel


def states(title: str, words: str, expression: str, legend: str) -> statetimeline.Panel:
    """Return a strip for each series: green where it is 1, red where it is 0."""
    meanings = models.ValueMap(
        options={
            "0": models.ValueMappingResult(text="断开", color=RED, index=1),
            "1": models.ValueMappingResult(text="连通", color=GREEN, index=0),
        }
    )
    return (
        statetimeline.Panel()
        .title(title)
        .description(words)
        .datasource(SOURCE)
        .unit("short")
        .thresholds(steps((None, RED), (1, GREEN)))
        .mappings([meanings])
        .row_height(0.85)
        .show_value(common_models.VisibilityMode.NEVER)
        .height(10)
        .span(16)
        .with_target(query(expression, legend))
    )


def rows(
    title: str, words: str, expression: str, unit: str, names: dict[str, str], hidden: Sequence[str]
) -> table.Panel:
    """Return a table with Chinese column names; labels in `hidden` are left out."""
    return (
        table.Panel()
        .title(title)
        .description(words)
        .datasource(SOURCE)
        .unit(unit)
        .height(10)
        .span(8)
        .with_target(query(expression, now=True).format(_table_format()))
        .with_transformation(
            models.DataTransformerConfig(
                id_val="organize",
                options={"excludeByName": dict.fromkeys(hidden, True), "renameByName": names, "indexByName": {}},
            )
        )
    )


def _table_format() -> object:
    from grafana_foundation_sdk.models import prometheus as prometheus_models

    return prometheus_models.PromQueryFormat.TABLE
