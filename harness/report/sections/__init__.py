"""The sections of a report, in the order in which they stand. Adding one is a file and a line here."""

from __future__ import annotations

from collections.abc import Callable

from harness.report.data import ReportData
from harness.report.sections import (
    answer,
    bandwidth,
    batching,
    bottleneck,
    by_model,
    by_vendor,
    comparisons,
    controls,
    depth,
    energy,
    failures,
    glance,
    imported,
    latency,
    levels,
    memory,
    method,
    offload,
    proof,
    provenance,
    quality,
    rates,
    reproduce,
    reproductions,
    summary,
    superseded,
    telemetry,
    validity,
)
from harness.values.block import Block

SECTIONS: dict[str, Callable[[ReportData], tuple[Block, ...]]] = {
    "summary": summary.render,
    "answer": answer.render,
    "glance": glance.render,
    "by_model": by_model.render,
    "by_vendor": by_vendor.render,
    "rates": rates.render,
    "latency": latency.render,
    "batching": batching.render,
    "quality": quality.render,
    "bottleneck": bottleneck.render,
    "levels": levels.render,
    "failures": failures.render,
    "validity": validity.render,
    "superseded": superseded.render,
    "comparisons": comparisons.render,
    "controls": controls.render,
    "proof": proof.render,
    "telemetry": telemetry.render,
    "energy": energy.render,
    "depth": depth.render,
    "offload": offload.render,
    "memory": memory.render,
    "bandwidth": bandwidth.render,
    "method": method.render,
    "reproduce": reproduce.render,
    "reproductions": reproductions.render,
    "imported": imported.render,
    "provenance": provenance.render,
}
