"""Speed against what the device's data sheet allows: memory bandwidth on the left, arithmetic on the right."""

from __future__ import annotations

from harness.analysis.hardware import DataSheet, data_sheet_of
from harness.analysis.plausibility import Verdict, plausibility
from harness.analysis.results import CellResult
from harness.report import naming, words
from harness.report.data import ReportData
from harness.values.block import Axis, Chart, Point, Series

MOST_DEVICES = 3
MOST_POINTS = 7
_FEWEST = 2
_FLOPS_PER_PARAMETER = 2.0
"""A multiplication and an addition for each weight and token; attention is not counted."""


def charts(data: ReportData) -> tuple[Chart, ...]:
    """A chart for each device with a data sheet that tells bandwidth and arithmetic, and at least two results."""
    by_device: dict[str, list[CellResult]] = {}
    sheets: dict[str, DataSheet] = {}
    for _, result in data.rows():
        sheet = data_sheet_of(result.device)
        if sheet is None or _peak(sheet) is None or _placed(result) is None:
            continue
        sheets[result.device] = sheet
        by_device.setdefault(result.device, []).append(result)
    wanted = [device for device, results in by_device.items() if len(results) >= _FEWEST][:MOST_DEVICES]
    return tuple(
        _chart(f"roofline-{number}", device, sheets[device], by_device[device])
        for number, device in enumerate(wanted, start=1)
    )


def _peak(sheet: DataSheet) -> float | None:
    """Dense half-precision FLOP/s, else single precision; None where the sheet tells neither."""
    for name in ("fp16_fp32acc_tflops", "fp16_tflops", "fp32_tflops"):
        value = getattr(sheet, name)
        if value is not None and name not in sheet.doubtful:
            return float(value) * 1e12
    return None


def _placed(result: CellResult) -> tuple[float, float] | None:
    """FLOP per byte of weights read, and FLOP/s; None where the model's weights a token are not known."""
    model, rate, test = result.model, result.tokens_per_s, result.cell.test
    if rate is None or model is None or not model.bytes_per_token or not model.n_params or result.software:
        return None
    if test.kind not in {"pp", "tg"} or test.n_depth or result.n_devices > 1 or model.synthetic:
        return None
    if test.kind == "tg" and (seen := plausibility(result)) and seen.verdict is Verdict.UNOBSERVABLE:
        return None
    flops = _FLOPS_PER_PARAMETER * model.n_params * min(1.0, model.bytes_per_token / model.size_bytes)
    together = min(test.n_prompt, int(result.cell.params.get("n_ubatch", 512))) if test.kind == "pp" else 1
    return flops * together / model.bytes_per_token, flops * rate


def _chart(name: str, device: str, sheet: DataSheet, results: list[CellResult]) -> Chart:
    peak, bandwidth = _peak(sheet) or 0.0, 1e9 * sheet.bandwidth_gb_s
    by_model: dict[str, list[Point]] = {}
    said = []
    for result in results:
        placed = _placed(result)
        if placed is None:
            continue
        share = placed[1] / min(peak, bandwidth * placed[0])
        called = f"{naming.model(result)}, {words.backend(result.cell)}"
        by_model.setdefault(called, []).append(Point(x=placed[0], y=placed[1] / 1e12, label=result.cell.test.name))
        said.append(f"{called}, {result.cell.test.name}: {100 * share:.0f} %")
    corner = peak / bandwidth
    ends = [x for points in by_model.values() for p in points if (x := p.x)]
    low, high = min(*ends, corner) / 2, max(*ends, corner) * 2
    roof = tuple(Point(x=x, y=min(peak, bandwidth * x) / 1e12) for x in (low, corner, high))
    shown = list(by_model.items())[:MOST_POINTS]
    return Chart(
        name=name,
        kind="xy",
        title=f"{device}: results under the roof of its data sheet",
        summary=f"Share of what the data sheet of {device} allows at the same arithmetic per byte: {'; '.join(said)}.",
        x=Axis(title="Arithmetic for each byte of weights, FLOP per byte", scale="log"),
        y=Axis(title="TFLOP/s", scale="log"),
        series=(
            Series(name=f"Data sheet: {sheet.bandwidth_gb_s:g} GB/s, {peak / 1e12:g} TFLOP/s", points=roof, line=True),
            *(Series(name=called, points=tuple(points)) for called, points in shown),
        ),
    )
