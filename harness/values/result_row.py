"""One row of the results table: one metric of one cell on one machine. Reports, pages and exports stand on it.

`docs/columns.md` says what each column means. Missing is None, or empty where it is text or a tuple.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from harness.values.cell import ParameterValue


class Trust(StrEnum):
    """How a row came to be known. Only measured rows are ever ranked."""

    MEASURED = "measured"
    IMPORTED = "imported"


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultRow:
    """A row of the results table, with what it may be compared by and where it comes from.

    Attributes:
        row: short name of the row, stable while the thing that was measured stays the same; for anchors and links.
        trust: measured by this program, or imported. source: of an imported row, where it was had from.
        report, matrix, machine, cell: names of the folder, the matrix and the machine, id of the cell.
        metric: `pp`, `tg` or `pg`, rates in tokens/s; later others, such as `ttft`. unit: of value and interval.
        higher_is_better: of the metric.

        group: short hash of the comparability key: only rows with the same may be put in an order.
        key: the fields of that key by name.
        kind: `ranked`, `synthetic` or `software`: the table that it stands in.
        rankable: whether it may be put in an order within its group at all; why_not: the reason where it may not.

        model, model_title, model_sha256, model_size_bytes, model_params, model_type, bytes_per_token: of the weights.
        test, n_prompt, n_gen, n_depth: the shape, in tokens.
        backend, label, device, n_devices, vendor, device_memory_bytes, driver, power_limit_w: what computed.
        image, image_id, build_number, build_commit: what llama.cpp it was.
        params: every parameter that was passed. environment: variables that change results.
        cpu, os, kernel, engine: of the host.

        value: the figure in `unit`; low, high: its 95 % interval; None without one.
        ns_per_token: the median over runs that the rate is of.
        rounds, rounds_planned: counted runs. between_cv, within_cv: coefficients of variation.
        screening, complete, simulated: of the cell. proof: `proven`, `contradicted` or `unobservable`.
        confidence: nominal confidence of the interval, 0 to 1.
        run_rounds, run_sessions, run_values_ns, run_records: of each counted run its round, its start, its value in ns
            per token and its record: two rows of one machine are compared by the runs with equal round and start.
        not_quiet: counted runs that began on a machine that was not quiet. invalid: runs that broke a rule.
        failure_phase, failure_reason, failure_detail, remedy: why there is no number; empty where nothing failed.

        memory_bytes: the most in use on its devices, median over runs. power_w: mean. temperature_c: the most.
        energy_j_per_token: net of idle power. throttled: largest share of readings with heat or hardware slowdown.

        argv: of the process in the container. sessions: starts. first_utc, last_utc: of the first and last counted run.
        harness: version and commit. matrix_sha256: of the matrix file. reproduced, not_reproduced: attempts.
    """

    row: str
    trust: Trust = Trust.MEASURED
    source: str = ""
    report: str
    matrix: str = ""
    machine: str
    cell: str
    metric: str
    unit: str = "tokens/s"
    higher_is_better: bool = True

    group: str
    key: Mapping[str, object] = field(default_factory=dict)
    kind: str
    rankable: bool
    why_not: str = ""

    model: str
    model_title: str
    model_sha256: str = ""
    model_size_bytes: int | None = None
    model_params: int | None = None
    model_type: str = ""
    bytes_per_token: int | None = None
    test: str
    n_prompt: int
    n_gen: int
    n_depth: int
    backend: str
    label: str = ""
    device: str
    n_devices: int = 1
    vendor: str = ""
    device_memory_bytes: int | None = None
    driver: str = ""
    power_limit_w: float | None = None
    image: str = ""
    image_id: str = ""
    build_number: int | None = None
    build_commit: str = ""
    params: Mapping[str, ParameterValue] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    cpu: str = ""
    os: str = ""
    kernel: str = ""
    engine: str = ""

    value: float | None = None
    low: float | None = None
    high: float | None = None
    ns_per_token: float | None = None
    rounds: int = 0
    rounds_planned: int | None = None
    between_cv: float | None = None
    within_cv: float | None = None
    screening: bool = False
    complete: bool = True
    simulated: bool = False
    proof: str = "unobservable"
    confidence: float = 0.95
    run_rounds: tuple[int, ...] = ()
    run_sessions: tuple[str, ...] = ()
    run_values_ns: tuple[float, ...] = ()
    run_records: tuple[str, ...] = ()
    not_quiet: int = 0
    invalid: int = 0
    failure_phase: str = ""
    failure_reason: str = ""
    failure_detail: str = ""
    remedy: str = ""

    memory_bytes: int | None = None
    power_w: float | None = None
    temperature_c: float | None = None
    energy_j_per_token: float | None = None
    throttled: float | None = None

    argv: tuple[str, ...] = ()
    sessions: tuple[str, ...] = ()
    first_utc: str = ""
    last_utc: str = ""
    harness: str = ""
    matrix_sha256: str = ""
    reproduced: int = 0
    not_reproduced: int = 0
