"""The alert rules: each says what is wrong and where to read on, and fires when it should.

What they ask for is compared with a real scrape in `test_metrics`.
"""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.running import ROOT

RULES = ROOT / "deploy" / "prometheus" / "alerts.yml"
RUNBOOK = ROOT / "deploy" / "RUNBOOK.md"

FIRES: dict[str, dict[str, str]] = {
    "LeakedKeyLive": {'responder_leaked_key_live_seconds{waiting_for="responder"}': "901"},
    "LeakUndecided": {'responder_incident_oldest_seconds{state="open"}': "1801"},
    "LeakedKeyWaitsForPerson": {'responder_leaked_keys_live{waiting_for="person"}': "1"},
    "HeldIncidentUnseen": {'responder_incident_oldest_seconds{state="held"}': "3601"},
    "QueueStuck": {"responder_delivery_waiting_seconds": "61"},
    "DeliveryUnfinished": {"responder_delivery_oldest_seconds": "3601"},
    "NoWorker": {"responder_workers_alive": "0"},
    "DatabaseUnreadable": {"responder_database_up": "0"},
    "NothingStored": {'responder_requests_total{route="/hooks/github",status="503"}': "0+1x1600"},
    "NoticesUndelivered": {"responder_notices_failed": "0+1x1600"},
    "InventoryStale": {'responder_inventory_age_seconds{provider="openai",account="default"}': "3601"},
    "InventoryIncomplete": {'responder_inventory_complete{provider="openai",account="default"}': "0"},
    "CredentialRefused": {'responder_calls_total{operation="openai.list_keys",result="401"}': "0+1x1600"},
    "WebhooksRefused": {'responder_requests_total{route="/hooks/github",status="401"}': "0+1x1600"},
    "CoverageLow": {
        'responder_keys_fingerprinted{provider="openai",account="default"}': "4",
        'responder_keys_listed{provider="openai",account="default"}': "10",
    },
}
"""Series for a day and more, by the alert that they make fire."""

QUIET: dict[str, str] = {
    'responder_leaked_key_live_seconds{waiting_for="responder"}': "30",
    'responder_leaked_keys_live{waiting_for="person"}': "0",
    'responder_incident_oldest_seconds{state="open"}': "1000",
    'responder_incident_oldest_seconds{state="held"}': "0",
    "responder_delivery_waiting_seconds": "1",
    "responder_delivery_oldest_seconds": "70",
    "responder_workers_alive": "2",
    "responder_database_up": "1",
    'responder_requests_total{route="/readyz",status="503"}': "0+1x1600",
    'responder_requests_total{route="/hooks/github",status="401"}': "0+1x1600",
    'responder_requests_total{route="/hooks/github",status="202"}': "0+1x1600",
    "responder_notice_pending_seconds": "600",
    "responder_notices_failed": "7",
    'responder_inventory_age_seconds{provider="openai",account="default"}': "320",
    'responder_inventory_complete{provider="openai",account="default"}': "1",
    'responder_calls_total{operation="openai.probe_me",result="401"}': "0+1x1600",
    'responder_calls_total{operation="openai.read_usage",result="403"}': "0+1x1600",
    'responder_keys_fingerprinted{provider="openai",account="default"}': "9",
    'responder_keys_listed{provider="openai",account="default"}': "10",
}
"""What is no reason to wake anybody."""


def rules() -> list[dict[str, Any]]:
    """Every rule."""
    return [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]


def promtool(folder: Path, *arguments: str) -> str:
    """What Prometheus' own tool says; fails where it complains."""
    tool = shutil.which("promtool")
    if tool is None:
        pytest.skip("no promtool: install Prometheus (Debian: prometheus) to have the rules evaluated")
    done = subprocess.run([tool, *arguments], cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_every_alert_says_what_is_wrong_and_where_to_read_on() -> None:
    """At three in the morning a name alone helps nobody."""
    found = rules()
    assert {rule["alert"] for rule in found} == set(FIRES), (
        "an alert that nobody has seen fire may be one that cannot"
    )
    for rule in found:
        assert rule["labels"]["severity"] in ("critical", "warning", "info")
        assert rule["annotations"]["summary"].endswith(".")
        assert re.fullmatch(r"RUNBOOK\.md#[a-z-]+", rule["annotations"]["runbook"])


def test_every_alert_leads_to_a_section_of_the_runbook() -> None:
    """A dead link is found by whoever needs it."""
    if not RUNBOOK.exists():
        pytest.skip("there is no runbook yet")
    text = RUNBOOK.read_text()
    headings = {
        re.sub(r"[^a-z0-9 -]", "", line.strip("# ").lower()).replace(" ", "-")
        for line in text.splitlines()
        if line.startswith("#")
    }
    anchors = headings | set(re.findall(r'(?:id|name)="([a-z-]+)"', text))
    assert {rule["annotations"]["runbook"].partition("#")[2] for rule in rules()} <= anchors


def test_every_alert_fires_for_its_reason_and_is_silent_without_one(tmp_path: Path) -> None:
    """Evaluated by Prometheus itself, over a day and an hour."""
    shutil.copy(RULES, tmp_path)
    promtool(tmp_path, "check", "rules", RULES.name)
    wrong = {one: value for series in FIRES.values() for one, value in series.items()}
    cases = {
        "rule_files": [RULES.name],
        "evaluation_interval": "30m",
        "tests": [_case(wrong, fires=True), _case(QUIET, fires=False)],
    }
    (tmp_path / "tests.yml").write_text(yaml.safe_dump(cases))
    promtool(tmp_path, "test", "rules", "tests.yml")


def _case(series: dict[str, str], *, fires: bool) -> dict[str, Any]:
    """One case of promtool's: after a day, every alert fires, or none."""
    values = [{"series": one, "values": value if "x" in value else f"{value}x1600"} for one, value in series.items()]
    wanted = [{"labels": "{}", "value": int(fires)}]
    asked = 'count(ALERTS{{alertname="{}",alertstate="firing"}}) or vector(0)'
    return {
        "interval": "1m",
        "input_series": values,
        "promql_expr_test": [
            {"expr": asked.format(name), "eval_time": "25h", "exp_samples": wanted} for name in FIRES
        ],
    }
