"""What the person at the terminal reads once all runs: addresses, accounts, and how to stop. Chinese first."""

from typing import Any

TIERS = {"national": "国家 Nation", "provincial": "省级 Province", "city": "市级 City", "county": "县级 County"}


def banner(places: dict[str, Any]) -> str:
    """Return the text for the content of `demo.json`."""
    lines = ["", "四联 Silian 演示已就绪 · the demo is ready", ""]
    gateways = places["gateways"].values()
    lines += [f"  {TIERS[place['tier']]:<12} {place['name']}\t{place['url']}" for place in gateways]
    lines += ["", "  账号 accounts（各级密码不同 passwords differ by tier）："]
    for code, place in places["gateways"].items():
        lines.append(f"    {code} {place['name']}")
        lines += [f"      {user['username']:<13} {user['password']}" for user in place["users"].values()]
    agents = list(places.get("agents", {}).values())
    if agents:
        page = agents[0]["answer_page"]
        lines += ["", f"  县值班应答页 answer page of {agents[0]['centre']}  {page['url']}  PIN {page['pin']}"]
    figures = places["prometheus"]
    lines += [
        "",
        f"  监控 Prometheus  {figures['url'] or figures['missing']}",
        f"  全部地址与令牌 all addresses and tokens  {places['state_dir']}/demo.json",
        f"  日志 logs        {places['state_dir']}/logs/",
        "  按 Ctrl-C 结束 · press Ctrl-C to stop",
        "",
    ]
    return "\n".join(lines)
