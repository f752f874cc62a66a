"""Figures of all rounds as Markdown tables."""

import statistics

from . import rows

PART_COLUMNS = [
    ("requests/s", "rate", "{:.0f}"),
    ("p50, ms", "p50", "{:.2f}"),
    ("p99, ms", "p99", "{:.2f}"),
    ("p99.9, ms", "p99.9", "{:.1f}"),
    ("server CPU per request, us", "cpu", "{:.1f}"),
    ("generator CPU", "generator", "{:.0%}"),
]
TAIL_COLUMNS = [
    ("p50, ms", "p50", "{:.2f}"),
    ("p99, ms", "p99", "{:.2f}"),
    ("p99.9, ms", "p99.9", "{:.2f}"),
    ("p99.99, ms", "p99.99", "{:.1f}"),
    ("max, ms", "max", "{:.1f}"),
    ("server CPU per request, us", "cpu", "{:.1f}"),
]


def spread(form, values):
    """Median, and in parentheses the least and the most."""
    if not values:
        return "-"
    median, least, most = (
        form.format(value) for value in (statistics.median(values), min(values), max(values))
    )
    return f"{median} ({least} to {most})"


def table(head, lines):
    """Columns of words to the left, of which there are as many as `head` has without a form, figures to the right."""
    names = [name for name, _ in head]
    rule = ["--:" if right else "---" for _, right in head]
    return "\n".join(
        "|" + "|".join(cells) + "|"
        for cells in [
            [f" {name} " for name in names],
            rule,
            *([f" {cell} " for cell in line] for line in lines),
        ]
    )


class Results:
    """Figures by row and round, and what went wrong."""

    def __init__(self):
        self.figures = {}
        self.unfit = []

    def add(self, row, number, figures):
        self.figures.setdefault(row, {})[number] = figures

    def values(self, row, figure):
        """Of all rounds that have it."""
        return [found[figure] for _, found in sorted(self.figures.get(row, {}).items()) if figure in found]

    def ratios(self, expectation):
        """Round by round, where both rows have the figure."""
        mine, other = (self.figures.get(row, {}) for row in (expectation.row, expectation.of))
        name = expectation.figure
        return [
            mine[number][name] / other[number][name]
            for number in sorted(mine.keys() & other.keys())
            if name in mine[number] and name in other[number]
        ]

    def part(self, part, chosen):
        """The table of a part of the chosen rows; nothing where none is of it."""
        columns = TAIL_COLUMNS if part in rows.RATES else PART_COLUMNS
        lines = [
            [row.name, str(row.instances), row.synchronous]
            + [spread(form, self.values(row, figure)) for _, figure, form in columns]
            for row in chosen
            if row.part == part
        ]
        head = [("server", False), ("instances", True), ("synchronous", False)]
        return table(head + [(name, True) for name, _, _ in columns], lines) if lines else ""

    def expected(self, expectations):
        """The table of what was expected, where it was measured."""
        lines = []
        for expectation in expectations:
            if ratios := self.ratios(expectation):
                verdict = "met" if expectation.met(statistics.median(ratios)) else "**missed**"
                lines.append([expectation.what, expectation.limit, spread("{:.2f}", ratios), verdict])
        head = [("ratio of", False), ("expected", True), ("measured", True), ("", False)]
        return table(head, lines) if lines else ""
