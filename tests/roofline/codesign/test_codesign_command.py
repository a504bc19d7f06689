"""`roofline codesign` as a stranger would use it, and misuse it."""

from __future__ import annotations

import json

import pandas as pd
import pytest

from roofline.cli import run

BASE = ["codesign", "--space", "paper-grid", "--points", "8", "--on-chip", "0MB"]
ONE = [*BASE, "--device", "phone", "--loss", "3.4", "--max-tpot", "40ms"]
FLEET = [
    "codesign", "--space", "paper-grid", "--devices", "phone=2,raspberry-pi-5", "--max-tpot",
    "100ms",
]  # fmt: skip


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_a_folder_is_whole_and_asks_again_the_same(tmp_path, capsys) -> None:
    assert run([*ONE, "--no-library", "-o", "one"]) == 0
    names = {file.name for file in (tmp_path / "one").iterdir()}
    assert names >= {
        "codesign.yaml", "codesign.json", "hardware.csv", "hardware.parquet", "lines.csv",
        "contours.png", "lines.png", "needs.csv", "margins.csv",
    }  # fmt: skip
    assert run(["codesign", "--repeat", "one/codesign.yaml", "--no-library", "-o", "two"]) == 0
    assert {file.name for file in (tmp_path / "two").iterdir()} == names
    for name in names - {"hardware.parquet"}:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    table = pd.read_csv(tmp_path / "one" / "hardware.csv")
    assert len(table) == 64
    assert table["tpot_s"].dropna().le(0.04).all()
    assert list(tmp_path.glob(".*")) == []
    assert "Wrote two/" in capsys.readouterr().out


def test_json_says_what_the_table_says(capsys) -> None:
    assert run([*ONE, "--no-library", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["target_loss"] == 3.4
    assert said["limits"] == {"tpot": 0.04}
    needs = {need["need"]: need for need in said["needs"]}
    assert needs["bandwidth_alone"]["peak_flop_per_s"] is None  # any
    assert run([*ONE, "--no-library"]) == 0
    told = capsys.readouterr().out
    assert f"{needs['bandwidth']['bandwidth_bytes_per_s'] / 1e9:.4g} GB/s" in told
    assert "fitted to" in told


def test_the_library_is_asked(capsys) -> None:
    assert run([*ONE, "--json"]) == 0
    library = json.loads(capsys.readouterr().out)["library"]
    assert len(library) == 184
    assert {row["meets"] for row in library} == {True, False}


def test_a_fleet(capsys, tmp_path) -> None:
    assert run([*FLEET, "--device-limit", "raspberry-pi-5:tpot=300ms", "-o", "fleet"]) == 0
    told = capsys.readouterr().out
    assert "worst case" in told
    assert "rpi5: tpot at most 300 ms" in told
    assert {file.name for file in (tmp_path / "fleet").iterdir()} == {
        "codesign.yaml", "codesign.json", "fleet.csv", "fleet.png",
    }  # fmt: skip
    assert run(["codesign", "--repeat", "fleet/codesign.yaml", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["weights"] == pytest.approx([2 / 3, 1 / 3])
    assert said["limits"]["rpi5"] == {"tpot": 0.3}


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["codesign", "--loss", "3.1", "--max-tpot", "20ms"], "--device"),
        ([*ONE, "--devices", "phone,rpi5"], "either --device"),
        ([*ONE, "--model", "qwen2.5-0.5b"], "either --loss or --model"),
        ([*BASE, "-d", "phone", "--max-tpot", "20ms"], "either --loss or --model"),
        ([*BASE, "-d", "phone", "--loss", "3.4"], "no limit says how fast"),
        ([*BASE, "-d", "phome", "--loss", "3.4", "--max-tpot", "1s"], "nearest is 'phone'"),
        ([*ONE[:-1], "0s"], "allows no model"),
        ([*ONE[:-1], "-5ms"], "negative"),
        ([*ONE[:-1], "fast"], "--max-tpot"),
        ([*ONE, "--workload", "chot"], "nearest is 'chat'"),
        ([*ONE, "--workload", "chat=0"], "positive weight"),
        ([*ONE, "--workload", "chat", "--prompt", "5"], "has its own lengths"),
        ([*ONE, "--bandwidth", "20GB/s"], "both ends"),
        ([*ONE, "--bandwidth", "9GB/s:2GB/s"], "no range"),
        ([*ONE, "--on-chip", "many"], "on_chip"),
        ([*ONE, "--device-limit", "rpi5:tpot=1s"], "belongs to a fleet"),
        ([*BASE, "-d", "phone", "--loss", "1", "--max-tpot", "1s"], "nearest is"),
        ([*BASE, "-d", "phone", "--model", "qwem2.5-0.5b", "--max-tpot", "1s"], "qwen2.5-0.5b"),
        ([*FLEET, "--points", "5"], "a fleet has no use for"),
        ([*FLEET[:-2], "--max-memory", "1GB"], "no limit says how fast"),
        ([*FLEET, "--device-limit", "rpi6:tpot=1s"], "nearest is 'rpi5'"),
        ([*FLEET, "--device-limit", "rpi5"], "write e.g."),
        (["codesign", "--devices", "phone", "--max-tpot", "1s"], "at least two"),
        (["codesign", "--devices", "phone=x,rpi5", "--max-tpot", "1s"], "weight"),
        (["codesign", "--devices", "phone=-1,rpi5", "--max-tpot", "1s"], "no weight of a device"),
        (["codesign", "--repeat", "nowhere.yaml"], "nowhere.yaml"),
        (["codesign", "--repeat", "nowhere.yaml", "--loss", "3"], "would have no effect"),
    ],
)
def test_bad_input_is_one_sentence_and_two(words, told, capsys, tmp_path) -> None:
    assert run([*words, "-o", "out"]) == 2
    said = capsys.readouterr()
    assert told in said.err
    assert said.err.strip().count("\n") == 0
    assert "Traceback" not in said.err
    assert not (tmp_path / "out").exists()


def test_nothing_is_overwritten(capsys, tmp_path) -> None:
    kept = tmp_path / "full"
    kept.mkdir()
    (kept / "mine.txt").write_text("mine")
    assert run([*ONE, "-o", "full"]) == 2
    assert "not empty" in capsys.readouterr().err
    assert [file.name for file in kept.iterdir()] == ["mine.txt"]


def test_a_folder_that_fails_leaves_nothing(monkeypatch, tmp_path, capsys) -> None:
    from roofline.codesign import figures

    def broken(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(figures, "lines_figure", broken)
    assert run([*ONE, "--no-library", "-o", "a/b"]) == 2
    assert "No space left" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
