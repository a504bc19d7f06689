"""The published table, tables of one's own, and what the words of a row imply."""

import hashlib
import math
import re

import pandas as pd
import pytest

from hardware_specs.measurements import rows
from hardware_specs.measurements.rows import COLUMNS, FLAGS, NUMBERS, load_rows, row_flags
from spec_files import SpecError

HEADER = "device_key,model,weight_format,batch,decode_tok_s"


@pytest.fixture(scope="module")
def table():
    return load_rows()


@pytest.fixture(scope="module")
def flags(table):
    return row_flags(table)


def test_the_shipped_table_is_that_of_its_version():
    data = rows.PUBLISHED.read_bytes()
    assert hashlib.sha256(data).hexdigest() == rows.CHECKSUM
    readme = (rows.PUBLISHED.parent / "README.md").read_text(encoding="utf-8")
    assert f"version {rows.VERSION}" in readme
    assert all(f"`{column}`" in readme for column in COLUMNS)


def test_the_published_rows_come_through_whole(table):
    plain = pd.read_csv(rows.PUBLISHED)  # another parser
    assert table.shape == (2570, 28)
    assert tuple(table.columns) == tuple(plain.columns) == COLUMNS
    for name in COLUMNS:
        if name in NUMBERS:
            assert table[name].dtype == "float64"
            pd.testing.assert_series_equal(table[name], plain[name].astype("float64"))
        else:
            assert (table[name] == plain[name].fillna("").str.strip()).all()
            assert table[name].map(type).eq(str).all()
    assert table[list(rows.METRICS)].notna().any(axis=1).all()


def test_every_row_has_a_source_and_what_has_no_date_is_reported(table, flags):
    assert (table["source"] != "").all()
    assert flags["undated"].sum() == 12
    assert table.loc[flags["undated"], "caveat"].str.contains("date not captured").all()
    assert table.attrs["notes"] == (
        "published.csv: 12 of 2570 rows state no date.",
        "published.csv: 5 of 2570 rows state no format.",
    )


def write(tmp_path, text, encoding="utf-8"):
    path = tmp_path / "mine.csv"
    path.write_bytes(text.encode(encoding) if isinstance(text, str) else text)
    return path


def test_a_table_of_ones_own_may_have_few_columns_and_others(tmp_path):
    path = write(tmp_path, f"note,{HEADER},room\nx,rpi5,Llama-2-7B,Q4_0,,4.5,lab\n")
    frame = load_rows(path)
    assert list(frame.columns) == [*COLUMNS, "note", "room"]
    row = frame.iloc[0]
    assert (row["decode_tok_s"], row["note"], row["room"], row["caveat"]) == (4.5, "x", "lab", "")
    assert math.isnan(row["batch"])
    assert math.isnan(row["ttft_ms"])
    assert frame["ttft_ms"].dtype == "float64"


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("\ufeff" + HEADER + "\r\nrpi5,m,Q4_0,1,4.5\r\n", 4.5),
        (HEADER.replace(",", ";") + "\nrpi5;m;Q4_0;1;4.5\n", 4.5),
        (HEADER.replace(",", "\t") + "\nrpi5\tm\tQ4_0\t1\t4.5\n", 4.5),
        (HEADER + '\n"rpi5","a, b","Q4_0","1","1,234.5"\n', 1234.5),
        (HEADER + "\n\nrpi5,m,Q4_0,1, 4.5 ,\n\n", 4.5),
        (HEADER + "\nrpi5,m,Q4_0,n/a,4.5e1\n", 45.0),
    ],
)
def test_the_csv_that_programs_write_is_read(tmp_path, text, rate):
    assert load_rows(write(tmp_path, text))["decode_tok_s"].tolist() == [rate]


REFUSED = [
    ("", "the file is empty"),
    ("  \n\n", "the file is empty"),
    (HEADER + "\n", "no rows"),
    (b"\x89PNG\r\n\x1a\n\x00\xff", "not UTF-8"),
    ("PK\0\0" + HEADER + "\nrpi5,m,Q4_0,1,2\n", "binary"),
    ("The quick brown fox\njumps\n", "'The quick brown fox'"),
    (HEADER.replace("decode_tok_s", "decode_toks") + "\nrpi5,m,Q4_0,1,2\n",
     "'decode_toks'; nearest is 'decode_tok_s'"),
    (HEADER.replace("decode_tok_s", "ttft") + "\nrpi5,m,Q4_0,1,2\n", "nearest is 'ttft_ms'"),
    (HEADER + ",model\nrpi5,m,Q4_0,1,2,n\n", "'model' is given twice"),
    (HEADER.replace("model,", "") + "\nrpi5,Q4_0,1,2\n", "'model' is missing"),
    (HEADER.replace("device_key,", "") + "\nm,Q4_0,1,2\n", "'device_key' or 'device'"),
    (HEADER.replace(",decode_tok_s", "") + "\nrpi5,m,Q4_0,1\n", "energy_j_per_tok"),
    (HEADER + "\nrpi5,m,Q4_0,1,2\nrpi5,m,Q4_0,1,fast\n", ":3: decode_tok_s: read 'fast'"),
    (HEADER + "\nrpi5,m,Q4_0,1,12.5 tok/s\n", ":2: decode_tok_s: read '12.5 tok/s'.*write 12.5"),
    (HEADER + "\nrpi5,m,Q4_0,1,0\n", "above zero"),
    (HEADER + "\nrpi5,m,Q4_0,1,-3\n", "above zero"),
    (HEADER + "\nrpi5,m,Q4_0,1,1e400\n", "plausible"),
    (HEADER + "\nrpi5,m,Q4_0,1,inf\n", "'inf'"),
    (HEADER + "\nrpi5,m,Q4_0,0,2\n", "batch: read '0'.*1 or more"),
    (HEADER + "\nrpi5,m,Q4_0,1\n", ":2: has 4 cells where the header has 5"),
    (HEADER + '\nrpi5,"m,Q4_0,1,2\n', "not CSV"),
    (HEADER.replace(",", ";") + "\nrpi5;m;Q4_0;1;12,5\n", "'12,5'.*write 12.5"),
    (HEADER.replace(",", ";") + "\nrpi5;m;Q4_0;1;1,234\n", "'1,234'"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "told"), REFUSED)
def test_what_is_no_table_is_refused_in_one_sentence(tmp_path, text, told):
    with pytest.raises(SpecError, match=told) as refusal:
        load_rows(write(tmp_path, text))
    sentence = str(refusal.value)
    assert "mine.csv" in sentence
    assert sentence.endswith(".")
    assert "\n" not in sentence


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    for path in (tmp_path / "none.csv", tmp_path):
        with pytest.raises(SpecError, match=re.escape(str(path))):
            load_rows(path)


# Counted by reading all caveats and power modes of the table.
COUNTS = {
    "low_power": 16,
    "power_unstated": 180,
    "throttled": 12,
    "speculative": 2,
    "single_thread": 14,
    "inconsistent": 15,
    "duplicate": 5,
    "format_presumed": 45,
    "prefill_included": 177,
    "undated": 12,
    "single_stream": 2391,
}


def test_flags_are_as_many_as_were_counted(flags):
    assert tuple(flags.columns) == tuple(FLAGS)
    assert all(flags[name].dtype == "bool" for name in FLAGS)
    assert {name: int(flags[name].sum()) for name in COUNTS} == COUNTS


def one(**cells):
    columns = {"model": ["m"], "weight_format": ["Q4_0"], "decode_tok_s": [1.0]}
    columns |= {name: [value] for name, value in cells.items()}
    frame = rows.build_rows(columns, "one")
    return {name for name, value in row_flags(frame).iloc[0].items() if value}


ORIN = {"class": "jetson", "device_key": "jetson_agx_orin_64", "date": "2026"}
FINE = {"full_power", "single_stream", "self_consistent"}


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        ({"power_mode": "MAXN stock clocks"}, FINE),
        ({"power_mode": "default, JetPack 7.2"}, FINE),
        ({"power_mode": "30W mode stock"}, {"low_power", "single_stream"}),
        ({"power_mode": "default (user report, not MAXN)"}, {"low_power", "single_stream"}),
        ({"power_mode": "not stated (values imply a low power mode)"},
         {"low_power", "single_stream"}),
        ({"power_mode": "not stated"}, FINE | {"power_unstated"}),
        ({"power_mode": "15W", "device_key": "jetson_orin_nano_8"}, FINE),  # it has no higher
        ({"power_mode": "15W", "device_key": "jetson_orin_nx_16"}, {"low_power", "single_stream"}),
        ({"power_mode": "140W", "class": "laptop", "device_key": "strix_halo"}, FINE),
    ],
)  # fmt: skip
def test_power_modes(cells, expected):
    assert one(**(ORIN | cells)) == expected


@pytest.mark.parametrize(
    ("caveat", "expected"),
    [
        ("FA on; several backends compared", set()),
        ("sustained ~10 min: throttled average", {"throttled"}),
        ("not throttled; unthrottled run", set()),
        ("SPECULATIVE 1B draft n=8", {"speculative"}),
        ("30 tok/s generation (before token speculation)", set()),
        ("measured without speculative decoding", set()),
        ("as it was before speculative decoding", set()),
        ("speculative decoding (EAGLE)", {"speculative"}),
        ("FlashHead variants omitted", set()),
        ("1 threads", {"single_thread"}),
        ("2 threads", {"single_thread"}),
        ("4 threads", set()),
        ("12 threads; FA on", set()),
        ("llama-speculative binary (22.0 vs llama-bench 27.1 baseline)", {"inconsistent"}),
        ("337 ms at 1024 looks inconsistent with 582 ms", {"inconsistent", "no_prefill"}),
        ("same repo Metal rows are far below other M4 reports and are omitted", set()),
        ("a user could not reproduce Mm-1B", set()),
        ("a user could not reproduce M", {"inconsistent"}),
        ("TTFT looks prefix-cached (exceeds peak): do not use TTFT for FLOPS", {"no_prefill"}),
        ("DUPLICATE: same figures as others", {"duplicate"}),
        ("prefill derived from TTFT", {"derived"}),
        ("peak wall power is not decode-average power", {"no_energy"}),
    ],
)
def test_caveats(caveat, expected):
    found = one(**ORIN, power_mode="MAXN", caveat=caveat) - FINE
    assert found == expected


def test_a_consistent_row_is_one_that_nothing_speaks_against(flags):
    against = [
        "low_power",
        "throttled",
        "speculative",
        "single_thread",
        "inconsistent",
        "duplicate",
        "format_presumed",
    ]
    clean = flags["single_stream"] & ~flags[against].any(axis=1)
    assert (flags["self_consistent"] == clean).all()
    assert 2250 < clean.sum() < 2350


def test_a_format_that_the_source_does_not_say():
    assert "format_presumed" in one(weight_format="4-bit (presumed)")
    assert "format_presumed" in one(weight_format="4-bit class")
    assert "format_presumed" not in one(weight_format="INT4 (mixed, int8 embed)")


def test_batches_and_rates_with_the_prompt_are_told_apart():
    assert "single_stream" not in one(batch=8.0)
    assert "prefill_included" in one(e2e_tok_s=3.0, decode_tok_s=None)
    assert "prefill_included" not in one(e2e_tok_s=3.0, decode_tok_s=4.0)
