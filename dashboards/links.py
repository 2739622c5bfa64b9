"""四级链路 (four-tier links): one question, which centres are cut off right now and whose branch it is.

`silian_centre_info` carries tier, parent and name; everything else bears the centre's code alone and is joined to it.
"""

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.models import dashboard as models

from dashboards.panels import GREEN, HERE, ORANGE, RED, curves, number, rows, states, steps, variables

UID = "silian-four-tier-links"
DOWN = f"(silian_link_up{{{HERE}}} == 0)"
NAMED = f"* on (instance, centre) group_left (centre_name, tier, parent) silian_centre_info{{{HERE}}}"
FAULT = steps((None, GREEN), (1, RED))


def links_dashboard() -> dashboard.Dashboard:
    """Return the builder of the dashboard."""
    built = (
        dashboard.Dashboard("四联 · 四级链路")
        .uid(UID)
        .description(
            "十秒回答：哪些中心断了，属于谁的分支？ In ten seconds: which centres are cut off, and whose branch is it?"
        )
        .tags(["silian"])
        .readonly()
        .refresh("10s")
        .time("now-1h", "now")
        .timezone("browser")
        .tooltip(models.DashboardCursorSync.CROSSHAIR)
    )
    for variable in variables("silian_link_up"):
        built = built.with_variable(variable)
    for panel in (*_first_row(), *_who_is_down(), *_line_health(), *_flow(), *_pictures(), *_inside()):
        built = built.with_panel(panel)
    return built


def _first_row() -> list[object]:
    live = f"count({DOWN}) or vector(0)"
    branch = f'topk(1, count by (parent) ({DOWN} {NAMED})) or label_replace(vector(0), "parent", "无", "", "")'
    return [
        number("断开节点", "此刻断开的节点数；0 为正常", live, "short", FAULT),
        number(
            "连通节点",
            "此刻连通的节点数",
            f"count(silian_link_up{{{HERE}}} == 1) or vector(0)",
            "short",
            steps((None, RED), (1, GREEN)),
        ),
        number(
            "断开最多的分支",
            "断开节点最多的上级编码与数量：多处断在同一分支，先查该上级的线路",
            branch,
            "short",
            FAULT,
        ).text_mode("value_and_name"),
        number(
            "未处置告警",
            "条件仍在且无人确认的告警数",
            f"sum(silian_alarms_unacknowledged{{{HERE}}}) or vector(0)",
            "short",
            steps((None, GREEN), (1, ORANGE), (20, RED)),
        ),
        number(
            "待发记录",
            "本平台欠上级和下级、尚未得到回执的记录；断链时增长，恢复后归零",
            f"sum(silian_outbox_records{{{HERE}}}) or vector(0)",
            "short",
            steps((None, GREEN), (100, ORANGE), (10000, RED)),
        ),
        number(
            "证书最短剩余",
            "最先到期的证书还剩多久；三分之二寿命时自动续签",
            f"min(silian_certificate_expiry_timestamp_seconds{{{HERE}}} - time())",
            "s",
            steps((None, RED), (7 * 86400, ORANGE), (20 * 86400, GREEN)),
        ),
    ]


def _who_is_down() -> list[object]:
    return [
        states(
            "各节点链路",
            "每条为一个节点，红色为断开；与上级同时变红，多半是上级的线路",
            f"silian_link_up{{{HERE}}}",
            "{{centre}} {{node}}",
        ),
        rows(
            "断开的中心",
            "断开的节点、所属层级与上级，数值为失联时长",
            f"(time() - silian_centre_last_seen_timestamp_seconds{{{HERE}}} and on (instance, node) {DOWN}) {NAMED}",
            "s",
            {
                "centre": "编码",
                "centre_name": "名称",
                "tier": "层级",
                "parent": "上级",
                "node": "节点",
                "Value": "失联",
            },
            ("Time", "instance", "job", "gateway", "plane"),
        ),
    ]


def _line_health() -> list[object]:
    return [
        curves(
            "心跳往返",
            "每个节点最近一次心跳的往返时间",
            "s",
            [(f"silian_link_rtt_seconds{{{HERE}}}", "{{centre}} {{node}}")],
        ),
        curves(
            "断链次数",
            "每分钟断链次数，按中心与原因",
            "short",
            [
                (
                    f"sum by (centre, reason) (rate(silian_link_reconnects_total{{{HERE}}}[$__rate_interval])) * 60",
                    "{{centre}} {{reason}}",
                )
            ],
        ),
    ]


def _flow() -> list[object]:
    return [
        curves(
            "收到的记录",
            "每秒首次入库的记录，按中心",
            "rps",
            [(f"sum by (centre) (rate(silian_link_records_received_total{{{HERE}}}[$__rate_interval]))", "{{centre}}")],
            8,
        ),
        curves(
            "节点积压",
            "节点自己的存储里等待上送的记录：断链时上升，恢复后应很快归零",
            "short",
            [(f"silian_agent_spool_messages{{{HERE}}}", "{{centre}} {{node}}")],
            8,
        ),
        curves(
            "本平台待发",
            "按对端和通道，尚未得到回执的记录",
            "short",
            [(f"sum by (peer, lane) (silian_outbox_records{{{HERE}}})", "{{peer}} {{lane}}")],
            8,
        ),
    ]


def _pictures() -> list[object]:
    frozen = f"rate(silian_media_freeze_seconds_total{{{HERE}}}[$__rate_interval])"
    return [
        curves(
            "画面卡顿",
            "到达本平台的画面卡住的时间占比，按摄像机；持续高于 0.01 先查该中心的线路",
            "percentunit",
            [(f"max by (centre, camera) ({frozen}) > 0", "{{centre}}/{{camera}}")],
            8,
        ),
        curves(
            "卡顿次数",
            "每分钟卡顿次数，按中心；一帧停留达到平均帧长的三倍且多出 150 毫秒即计一次",
            "short",
            [
                (
                    f"sum by (centre) (rate(silian_media_freezes_total{{{HERE}}}[$__rate_interval])) * 60",
                    "{{centre}}",
                )
            ],
            8,
        ),
        curves(
            "关键帧间隔",
            "最近两个关键帧的间隔，按摄像机；超过 4 秒时切换画面会变慢，应调整摄像机的关键帧设置",
            "s",
            [(f"max by (centre, camera) (silian_media_key_frame_interval_seconds{{{HERE}}})", "{{centre}}/{{camera}}")],
            8,
        ),
    ]


def _inside() -> list[object]:
    lag = f"sum by (le) (rate(silian_event_loop_lag_seconds_bucket{{{HERE}}}[$__rate_interval]))"
    return [
        curves(
            "视频流",
            "按状态统计的视频流",
            "short",
            [(f"sum by (state) (silian_media_streams{{{HERE}}})", "{{state}}")],
            8,
        ),
        curves(
            "事件循环延迟",
            "平台自身是否卡顿：99 分位应低于 0.02 秒",
            "s",
            [(f"histogram_quantile(0.99, {lag})", "p99"), (f"histogram_quantile(0.5, {lag})", "p50")],
            8,
        ),
        curves(
            "消息代理",
            "1 为消息代理可用；“正式”为 0 表示正用内置代理，不可用于生产",
            "short",
            [(f"silian_broker_up{{{HERE}}}", "可用"), (f"silian_broker_production{{{HERE}}}", "正式")],
            8,
        ),
    ]
