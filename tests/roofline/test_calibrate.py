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


@pytest.fixture
def _few_behind(monkeypatch):
    """The Pi's published rows alone; behind README's own command stand those of all devices."""
    table = load_rows()
    behind = table[table["device_key"] == "rpi5"]
    monkeypatch.setattr("roofline.calibration.profile.load_rows", lambda: behind)


def own_rows(share: float, device: str = "rpi5", rows: int = 6) -> Path:
    """Rows of the Pi as if it ran at a share of the published rates, each five times."""
    table = load_rows()
    kept = table[(table["device_key"] == "rpi5") & (table["framework"] == "Ollama")].head(rows)
    kept = kept.loc[kept.index.repeat(5)]
    kept = kept.assign(decode_tok_s=kept["decode_tok_s"] * share, device_key=device)
    kept.to_csv("rows.csv", index=False)
    return Path("rows.csv")


@pytest.mark.usefixtures("_few_behind")
def test_rows_that_are_published_already_count_once():
    table = load_rows()
    its = table[table["device_key"] == "rpi5"]
    known = {}
    for name, given in (("all", its), ("one", its[its["framework"] == "Ollama"].head(1))):
        given.to_csv("rows.csv", index=False)
        assert run(["calibrate", "rows.csv", "--device", "rpi5", "-o", f"{name}.yaml"]) == 0
        known[name] = load_device(f"{name}.yaml").processor().calibration.rows
    assert known["all"] == known["one"] > 5


@pytest.mark.parametrize(("share", "said"), [(0.25, True), (0.98, False)])
@pytest.mark.usefixtures("_few_behind")
def test_rows_at_odds_with_the_published_ones_are_told(share, said, capsys):
    file = own_rows(share, rows=3)
    file.write_text("\n".join(file.read_text().splitlines()[:3]))  # two rows against eleven
    assert run(["calibrate", "rows.csv", "--device", "rpi5", "-o", "mine.yaml"]) == 0
    assert ("speak against them" in capsys.readouterr().out) == said


@pytest.mark.usefixtures("_few_behind")
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
    model = load_model("llama-3.2-3b").with_formats("q4_k_m")
    workload = Workload(prompt=64, generate=64)
    before = estimate(model, load_device("rpi5"), workload, runtime="llama.cpp-cpu").tpot[0]
    after = estimate(model, device, workload).tpot[0]
    assert 1.2 < after / before < 2.1


@pytest.mark.usefixtures("_few_behind")
def test_one_row_settles_next_to_nothing(capsys):
    own_rows(1.0, rows=1)
    text = Path("rows.csv").read_text().splitlines()[:2]
    Path("rows.csv").write_text("\n".join(text) + "\n")
    assert run(["calibrate", "rows.csv", "--device", "rpi5", "-o", "mine.yaml"]) == 0
    printed = capsys.readouterr().out
    assert "1 row of cpu under llama.cpp-cpu fitted." in printed
    # The published rows of this very Pi stand behind it: one more of a kind adds nothing new.
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


def test_rows_that_cannot_be_used_say_why(capsys):
    table = load_rows()
    kept = table[table["device_key"] == "rpi5"].head(2).assign(model="Unheard-Of-3B")
    kept.to_csv("rows.csv", index=False)
    assert run(["calibrate", "rows.csv", "--device", "rpi5", "-o", "mine.yaml"]) == 2
    assert "Unheard-Of-3B" in capsys.readouterr().err
    assert not Path("mine.yaml").exists()
