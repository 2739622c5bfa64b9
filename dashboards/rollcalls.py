"""视频点名 (roll call): one question, who was missing and whose fault was it."""

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.models import dashboard as models

from dashboards.panels import GREEN, HERE, ORANGE, RED, curves, number, states, steps, variables

UID = "silian-roll-calls"
RATIO = steps((None, RED), (0.9, ORANGE), (0.98, GREEN))
"""Target of domain.md 9.5: 98 % at the first connection."""


def rollcalls_dashboard() -> dashboard.Dashboard:
    """Return the builder of the dashboard."""
    built = (
        dashboard.Dashboard("四联 · 视频点名")
        .uid(UID)
        .description("十秒回答：谁未到，责任在谁？ In ten seconds: who was missing, and whose fault was it?")
        .tags(["silian"])
        .readonly()
        .refresh("10s")
        .time("now-24h", "now")
        .timezone("browser")
        .tooltip(models.DashboardCursorSync.CROSSHAIR)
    )
    for variable in variables("silian_rollcall_due"):
        built = built.with_variable(variable)
    for panel in (*_now(), *_who(), *_why(), *_speed()):
        built = built.with_panel(panel)
    return built


def _now() -> list[object]:
    due = f"silian_rollcall_due{{{HERE}}}"
    return [
        number("应点", "本场或上一场点名应到的单位数", f"sum({due}) or vector(0)", "short", steps((None, GREEN))),
        number(
            "在岗率",
            "本场或上一场点名已到的比例",
            f"min(silian_rollcall_present_ratio{{{HERE}}}) or vector(1)",
            "percentunit",
            RATIO,
        ),
        number(
            "一次接通率",
            "无需补点即到的比例；目标 98%",
            f"min(silian_rollcall_first_connect_ratio{{{HERE}}}) or vector(1)",
            "percentunit",
            RATIO,
        ),
        number(
            "未到",
            "本场或上一场点名定为未到的单位数",
            f'sum(silian_rollcall_participants{{{HERE},state="absent"}}) or vector(0)',
            "short",
            steps((None, GREEN), (1, RED)),
        ),
        number(
            "未定",
            "本场点名尚未有结论的单位数；点名结束后应为 0",
            f'sum(silian_rollcall_participants{{{HERE},state="open"}}) or vector(0)',
            "short",
            steps((None, GREEN), (1, ORANGE)),
        ),
        number(
            "取证失败",
            "一小时内未能完成的取证步骤；0 为正常",
            f"sum(rate(silian_rollcall_evidence_failed_total{{{HERE}}}[$__rate_interval])) * 3600 or vector(0)",
            "short",
            steps((None, GREEN), (1, ORANGE)),
        ),
    ]


def _who() -> list[object]:
    return [
        states(
            "各单位结果",
            "每条为一个单位，绿色为到，红色为未到",
            f"silian_rollcall_centre_result{{{HERE}}}",
            "{{centre}}",
        ),
        curves(
            "场次",
            "每小时结束的点名，按结果",
            "short",
            [
                (
                    f"sum by (outcome) (rate(silian_rollcall_sessions_total{{{HERE}}}[$__rate_interval])) * 3600",
                    "{{outcome}}",
                )
            ],
            8,
        ),
    ]


def _why() -> list[object]:
    return [
        curves(
            "未到的责任归因",
            "每小时未到的单位，按归因",
            "short",
            [(f"sum by (cause) (rate(silian_rollcall_fail_total{{{HERE}}}[$__rate_interval])) * 3600", "{{cause}}")],
        ),
        curves(
            "图像与声音缺陷",
            "每小时点名中发现的缺陷，按种类",
            "short",
            [(f"sum by (kind) (rate(silian_av_defect_total{{{HERE}}}[$__rate_interval])) * 3600", "{{kind}}")],
        ),
    ]


def _speed() -> list[object]:
    def at(metric: str, share: float) -> str:
        rate = f"sum by (le) (rate(silian_{metric}_bucket{{{HERE}}}[$__rate_interval]))"
        return f"histogram_quantile({share}, {rate})"

    return [
        curves(
            "应答用时",
            "首次呼叫到县端应答的时间",
            "s",
            [(at("rollcall_connect_seconds", 0.5), "p50"), (at("rollcall_connect_seconds", 0.95), "p95")],
            8,
        ),
        curves(
            "见到图像用时",
            "首次呼叫到解码出首帧的时间",
            "s",
            [
                (at("rollcall_answer_duration_seconds", 0.5), "p50"),
                (at("rollcall_answer_duration_seconds", 0.95), "p95"),
            ],
            8,
        ),
        curves(
            "全场用时",
            "从首呼到结束的时间，含补点",
            "s",
            [(at("rollcall_duration_seconds", 0.5), "p50"), (at("rollcall_duration_seconds", 0.95), "p95")],
            8,
        ),
    ]
