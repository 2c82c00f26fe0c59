"""The results table and the samples in the formats of others. Adding one is a function and a line in `FORMATS`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from harness.report.exports import badges, compare_script, results_table, scoreboard
from harness.report.exports.exported import Exported


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """A format.

    Attributes:
        write: makes its bytes.
        what: what it is, in a line.
        binary: it goes to files only.
        marks_simulated: its rows can say that they are simulated; others take no such report.
    """

    write: Callable[[Exported], bytes]
    what: str
    binary: bool = False
    marks_simulated: bool = False


FORMATS: dict[str, Format] = {
    "csv": Format(
        write=results_table.csv_bytes, what="the results table; no cell of it is a formula", marks_simulated=True
    ),
    "json": Format(
        write=results_table.json_bytes, what="the results table with its lists and mappings", marks_simulated=True
    ),
    "jsonl": Format(
        write=compare_script.jsonl_bytes, what="rows of llama-bench for llama.cpp's compare-llama-bench.py"
    ),
    "parquet": Format(
        write=results_table.parquet_bytes, what="the results table in columns", binary=True, marks_simulated=True
    ),
    "sqlite": Format(
        write=compare_script.sqlite_bytes,
        what="`llama_bench` for llama.cpp's compare-llama-bench.py, and `results`, the results table",
        binary=True,
    ),
    "scoreboard": Format(write=scoreboard.markdown_bytes, what="tables as in llama.cpp's discussions, to paste"),
    "badge": Format(write=badges.markdown_bytes, what="badges for a README"),
}
