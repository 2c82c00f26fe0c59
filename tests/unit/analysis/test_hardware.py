"""The figures of data sheets: valid, unambiguous, with source and certainty."""

from pathlib import Path

import pytest

from harness.analysis.hardware import HARDWARE, DataSheet, data_sheet_of, data_sheets
from harness.errors import InputError

SHEETS = data_sheets()
NAMED = [(sheet.id, name) for sheet in SHEETS.values() for name in sheet.names]


@pytest.mark.parametrize(("key", "name"), NAMED)
def test_a_reported_name_means_its_device_and_no_other(key: str, name: str) -> None:
    assert [sheet.id for sheet in SHEETS.values() if sheet.match and sheet.match.search(name)] == [key]
    found = data_sheet_of(name)
    assert found is not None
    assert found.id == key


@pytest.mark.parametrize("sheet", SHEETS.values(), ids=lambda sheet: sheet.id)
def test_a_row_has_its_source_and_can_be_found(sheet: DataSheet) -> None:
    assert sheet.source
    assert (sheet.match is None) == (not sheet.names)
    assert not sheet.agreed & sheet.doubtful
    # A discrete card has memory of its own, of a known size.
    assert sheet.shared_memory or sheet.memory_gib


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("NVIDIA GeForce RTX 4090", "rtx-4090"),
        ("NVIDIA GeForce RTX 4090 D", "rtx-4090-d"),
        ("NVIDIA GeForce RTX 4090 Laptop GPU", None),
        ("AMD Radeon RX 7900 XTX (RADV NAVI31)", "rx-7900-xtx"),
        ("Intel(R) Arc(tm) B580 Graphics (BMG G21)", "arc-b580"),
        ("AMD EPYC 9654 96-Core Processor", "epyc-genoa"),
        ("llvmpipe (LLVM 19.1.7, 256 bits)", None),
        ("", None),
    ],
)
def test_names_as_drivers_write_them(name: str, key: str | None) -> None:
    found = data_sheet_of(name)
    assert (found.id if found else None) == key


def test_a_name_that_fits_two_devices_means_none(tmp_path: Path) -> None:
    text = HARDWARE.read_text(encoding="utf-8").replace("match: 'RTX 4090$'", "match: 'RTX 4090'")
    file = tmp_path / "hardware.yaml"
    file.write_text(text, encoding="utf-8")
    assert data_sheet_of("NVIDIA GeForce RTX 4090 D", data_sheets(file)) is None


ROW = "sources: {book: a book}\ndevices:\n  x: {vendor: amd, architecture: z, match: 'X', names: ['X'], memory_gib: 1, "


@pytest.mark.parametrize(
    ("rest", "message"),
    [
        ("bandwidth_gb_s: 0, source: book}", "bandwidth_gb_s"),
        ("source: book}", "bandwidth_gb_s"),
        ("bandwidth_gb_s: 9, source: film}", "'film' is not a key of `sources`"),
        ("bandwidth_gb_s: 9, source: book, doubtful: [fp16_tflops]}", "fp16_tflops is called agreed or doubtful"),
        ("bandwidth_gb_s: 9, source: book, speed: 1}", "speed"),
    ],
)
def test_mistakes_in_the_file_are_told(tmp_path: Path, rest: str, message: str) -> None:
    file = tmp_path / "hardware.yaml"
    file.write_text(ROW + rest + "\n", encoding="utf-8")
    with pytest.raises(InputError) as caught:
        data_sheets(file)
    assert message in str(caught.value)


def test_a_wrong_expression_is_told(tmp_path: Path) -> None:
    file = tmp_path / "hardware.yaml"
    file.write_text(ROW.replace("match: 'X'", "match: '('") + "bandwidth_gb_s: 9, source: book}\n", encoding="utf-8")
    with pytest.raises(InputError, match="is no regular expression"):
        data_sheets(file)
