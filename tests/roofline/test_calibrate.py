"""`roofline calibrate`: a team's rows move a device's profile, and bad input moves nothing."""

from pathlib import Path

import pytest

from arch_space.library import load_model
from hardware_specs import load_device
from hardware_specs.measurements.rows import load_rows
from roofline.cli import run
from roofline.engine import estimate
from roofline.workload import Workload


@pytest.fixture(autouse=True)
def _folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def own_rows(share: float, device: str = "rpi5", rows: int = 6) -> Path:
    """Rows of the Pi as if it ran at a share of the published rates, each five times."""
    table = load_rows()
    kept = table[(table["device_key"] == "rpi5") & (table["framework"] == "Ollama")].head(rows)
    kept = kept.loc[kept.index.repeat(5)]
    kept = kept.assign(decode_tok_s=kept["decode_tok_s"] * share, device_key=device)
    kept.to_csv("rows.csv", index=False)
    return Path("rows.csv")


def test_rows_that_say_what_is_published_change_next_to_nothing():
    own_rows(1.0)
    assert run(["calibrate", "rows.csv", "--device", "rpi5", "-o", "mine.yaml"]) == 0
    assert 0.95 < slower("mine.yaml") < 1.05


def test_a_few_rows_speak_for_other_formats_too():
    """A board of one's own is as slow in 8 bits as in the four that were measured, nearly."""
    own_rows(0.6, rows=4)
    assert run(["calibrate", "rows.csv", "--device", "rpi5", "-o", "mine.yaml"]) == 0
    assert 1.5 < slower("mine.yaml") < 1.75
    assert 1.3 < slower("mine.yaml", "q8_0") < 1.75


def test_rows_beyond_what_devices_of_one_name_differ_by_are_told(capsys):
    for share, said in ((0.9, False), (0.2, True)):
        one = own_rows(share, rows=1).read_text().splitlines()[:2]
        Path("rows.csv").write_text("\n".join(one) + "\n")
        command = ["calibrate", "rows.csv", "--device", "rpi5", "-o", "mine.yaml", "--force"]
        assert run(command) == 0
        assert ("than devices of one name are apart" in capsys.readouterr().out) == said


def slower(profile: str, weights: str = "q4_k_m") -> float:
    """How many times as long the calibrated profile takes a token as the shipped one."""
    model = load_model("llama-3.2-3b").with_formats(weights)
    work = Workload(prompt=64, generate=64)
    before = estimate(model, load_device("rpi5"), work, runtime="llama.cpp-cpu").tpot[0]
    return estimate(model, load_device(profile), work).tpot[0] / before


def test_rows_move_the_profile(capsys):
    own_rows(0.5)
    assert run(["calibrate", "rows.csv", "--device", "rpi5", "-o", "mine.yaml"]) == 0
    printed = capsys.readouterr().out
    assert "rows of cpu under llama.cpp-cpu fitted" in printed
    device = load_device("mine.yaml")
    known = device.processor().calibration
    assert known.runtime == "llama.cpp-cpu"
    assert known.basis == "device"
    assert known.rows >= 25
    assert "state_launch" in known.not_fitted
    assert "memory" not in known.not_fitted
    efficiency = device.processor().efficiency
    for figure in (efficiency.compute, efficiency.memory, efficiency.cache):
        assert figure.low < figure.value < figure.high <= 1
    assert 1.8 < slower("mine.yaml") < 2.1


def test_one_row_settles_next_to_nothing(capsys):
    own_rows(1.0, rows=1)
    text = Path("rows.csv").read_text().splitlines()[:2]
    Path("rows.csv").write_text("\n".join(text) + "\n")
    assert run(["calibrate", "rows.csv", "--device", "rpi5", "-o", "mine.yaml"]) == 0
    printed = capsys.readouterr().out
    assert "1 row of cpu under llama.cpp-cpu fitted." in printed
    # What is published of this very Pi stands behind it: one row of a kind adds little.
    known = load_device("mine.yaml").processor().calibration
    assert {"attention", "tile", "launch", "cache", "prefill", "state"} <= set(known.not_fitted)


@pytest.mark.parametrize(
    ("prepare", "words"),
    [
        (lambda: own_rows(1.0, device="rtx4090"), "'rtx4090'"),
        (lambda: Path("mine.yaml").write_text("keep me"), "--force"),
    ],
)
def test_refusals_write_nothing(prepare, words, capsys):
    own_rows(1.0)
    prepare()
    before = Path("mine.yaml").read_text() if Path("mine.yaml").exists() else None
    assert run(["calibrate", "rows.csv", "--device", "rpi5", "-o", "mine.yaml"]) == 2
    said = capsys.readouterr().err
    assert words in said
    assert len(said.strip().splitlines()) <= 2
    now = Path("mine.yaml").read_text() if Path("mine.yaml").exists() else None
    assert now == before


@pytest.mark.parametrize(
    ("out", "words"),
    [
        (["-o", "日本.yaml"], "no name can be made of 日本.yaml: give --name"),
        (["-o", "x.yaml", "--name", "Bad Name!"], "'Bad Name!' is no name of a device"),
    ],
)
def test_a_profile_is_given_a_name_that_can_be_read_again(out, words, capsys):
    own_rows(1.0)
    assert run(["calibrate", "rows.csv", "--device", "rpi5", *out]) == 2
    assert words in capsys.readouterr().err
    assert not Path(out[1]).exists()


def test_rows_that_cannot_be_used_say_why(capsys):
    table = load_rows()
    kept = table[table["device_key"] == "rpi5"].head(2).assign(model="Unheard-Of-3B")
    kept.to_csv("rows.csv", index=False)
    assert run(["calibrate", "rows.csv", "--device", "rpi5", "-o", "mine.yaml"]) == 2
    assert "Unheard-Of-3B" in capsys.readouterr().err
    assert not Path("mine.yaml").exists()
