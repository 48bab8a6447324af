"""A picture of a soak's report: memory, open files and latency over its rounds.

python tests/soak/picture.py REPORT.jsonl PICTURE.svg
"""

import json
import sys
from pathlib import Path
from typing import Any

WIDTH, HEIGHT, MARGIN, GAP = 860, 130, 70, 34
MEBIBYTE = 1024 * 1024

CHARTS = [
    ("memory, MB", lambda row: row["bytes"] / MEBIBYTE),
    ("open files", lambda row: row["fds"]),
    ("p99 of a set and its read, ms", lambda row: row["p99"] * 1000),
]


def picture(rows: list[dict[str, Any]]) -> str:
    """SVG that is readable on light and dark pages."""
    height = len(CHARTS) * (HEIGHT + GAP)
    parts = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height + 24}"'
            ' font-family="sans-serif" font-size="13" fill="#808080">'
        )
    ]
    for number, (title, value) in enumerate(CHARTS):
        values = [value(row) for row in rows]
        parts += chart(title, values, number * (HEIGHT + GAP) + GAP - 8)
    for row, column in zip(rows, range(len(rows)), strict=True):
        if row["fresh"] and column:
            x = place(column, len(rows))
            parts.append(f'<path d="M{x:.1f} 20V{height}" stroke="#808080" stroke-dasharray="3"/>')
    parts.append(f'<text x="{MARGIN}" y="{height + 18}">round 1</text>')
    parts.append(
        f'<text x="{WIDTH - 10}" y="{height + 18}" text-anchor="end">round {len(rows)}</text>'
    )
    return "\n".join([*parts, "</svg>", ""])


def chart(title: str, values: list[float], top: int) -> list[str]:
    """One line over its own axis, which begins at 0."""
    highest = max(values) * 1.1 or 1
    points = " ".join(
        f"{place(column, len(values)):.1f},{top + HEIGHT - HEIGHT * value / highest:.1f}"
        for column, value in enumerate(values)
    )
    return [
        f'<text x="{MARGIN}" y="{top - 6}">{title}</text>',
        f'<text x="{MARGIN - 8}" y="{top + 12}" text-anchor="end">{highest:,.0f}</text>',
        f'<text x="{MARGIN - 8}" y="{top + HEIGHT}" text-anchor="end">0</text>',
        f'<path d="M{MARGIN} {top}V{top + HEIGHT}H{WIDTH - 10}" fill="none" stroke="#808080"/>',
        f'<polyline points="{points}" fill="none" stroke="#3b82f6" stroke-width="1.2"/>',
    ]


def place(column: int, count: int) -> float:
    """Where a round stands, from left to right."""
    return MARGIN + (WIDTH - MARGIN - 10) * column / max(1, count - 1)


if __name__ == "__main__":
    report, target = map(Path, sys.argv[1:])
    lines = report.read_text(encoding="utf-8").splitlines()
    target.write_text(picture([json.loads(line) for line in lines]), encoding="utf-8")
