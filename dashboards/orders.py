"""指令 (orders): who has not signed for what was ordered, and are orders believed."""

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.models import dashboard as models

from dashboards.panels import GREEN, HERE, ORANGE, RED, curves, number, steps, variables

UID = "silian-orders"


def orders_dashboard() -> dashboard.Dashboard:
    """Return the builder of the dashboard."""
    built = (
        dashboard.Dashboard("四联 · 指令")
        .uid(UID)
        .description("十秒回答：下达的指令都签收了吗？ In ten seconds: has everybody signed for what was ordered?")
        .tags(["silian"])
        .readonly()
        .refresh("10s")
        .time("now-24h", "now")
        .timezone("browser")
        .tooltip(models.DashboardCursorSync.CROSSHAIR)
    )
    for variable in variables("silian_order_overdue"):
        built = built.with_variable(variable)
    for panel in (*_now(), *_course(), *_trust()):
        built = built.with_panel(panel)
    return built


def _hourly(metric: str) -> str:
    return f"rate(silian_{metric}{{{HERE}}}[$__rate_interval])) * 3600"


def _now() -> list[object]:
    return [
        number(
            "超时未签收",
            "已过签收时限仍未签收的单位数；0 为正常",
            f"sum(silian_order_overdue{{{HERE}}}) or vector(0)",
            "short",
            steps((None, GREEN), (1, RED)),
        ),
        number(
            "催办",
            "一小时内因无人签收或报告而发出的催办",
            f"sum({_hourly('order_reminders_total')} or vector(0)",
            "short",
            steps((None, GREEN), (1, ORANGE)),
        ),
        number(
            "拒收",
            "一小时内因签名或发令单位不可信而未采信的上级指令；0 为正常",
            f"sum({_hourly('orders_refused_total')} or vector(0)",
            "short",
            steps((None, GREEN), (0.5, RED)),
        ),
        number(
            "换钥",
            "一小时内签名钥匙与首次不同的指令；须向发令单位核实",
            f"sum({_hourly('order_keys_changed_total')} or vector(0)",
            "short",
            steps((None, GREEN), (0.5, RED)),
        ),
    ]


def _course() -> list[object]:
    def at(share: float) -> str:
        rate = f"sum by (le) (rate(silian_order_ack_seconds_bucket{{{HERE}}}[$__rate_interval]))"
        return f"histogram_quantile({share}, {rate})"

    return [
        curves(
            "指令状态",
            "近三十天的指令，按方向与状态",
            "short",
            [(f"sum by (direction, state) (silian_orders{{{HERE}}})", "{{direction}} {{state}}")],
        ),
        curves(
            "下达",
            "每小时下达的指令，按紧急程度；演练另计",
            "short",
            [(f"sum by (urgency, drill) ({_hourly('orders_sent_total')}", "{{urgency}} drill={{drill}}")],
        ),
        curves(
            "签收用时",
            "指令下达到一个单位签收的时间",
            "s",
            [(at(0.5), "p50"), (at(0.95), "p95")],
        ),
        curves(
            "催办步骤",
            "每小时的催办，按步骤：值班员、带班领导、本级领导",
            "short",
            [(f"sum by (step) ({_hourly('order_reminders_total')}", "{{step}}")],
        ),
    ]


def _trust() -> list[object]:
    return [
        curves(
            "电话通知的单位",
            "每小时由电话通知的无平台单位，与非本单位平台的答复",
            "short",
            [
                (f"sum({_hourly('order_units_by_phone_total')}", "by telephone"),
                (f"sum({_hourly('order_answers_foreign_total')}", "foreign answers"),
            ],
        ),
        curves(
            "拒收原因",
            "每小时未采信的上级指令，按原因",
            "short",
            [(f"sum by (reason) ({_hourly('orders_refused_total')}", "{{reason}}")],
        ),
    ]
