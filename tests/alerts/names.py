"""Finds the metrics that rules and boards name."""

import json
import re
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
RULES = ROOT / "deploy/prometheus/partway.rules.yml"
BOARD = ROOT / "deploy/grafana/partway.json"

_METRIC = re.compile(r"\b((?:partway|process|python)_[a-z0-9_]+)\b")


def rules() -> list[dict[str, Any]]:
    """Return the rules of all groups."""
    groups = yaml.safe_load(RULES.read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def queries() -> list[str]:
    """Return the queries of the board."""
    board = json.loads(BOARD.read_text())
    panels = [p for panel in board["panels"] for p in (panel, *panel.get("panels", ()))]
    return [target["expr"] for panel in panels for target in panel.get("targets", ())]


def metrics_in(expression: str) -> set[str]:
    """Return the metrics that an expression of PromQL reads, without what rules record."""
    return set(_METRIC.findall(expression))


def read_by_rules_and_board() -> set[str]:
    """Return every metric that is read."""
    expressions = [rule["expr"] for rule in rules()] + queries()
    return {name for expression in expressions for name in metrics_in(expression)}
