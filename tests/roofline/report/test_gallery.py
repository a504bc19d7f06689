"""The gallery: what it keeps, and the comparison held against the fronts themselves."""

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from hardware_specs import load_device
from roofline.efficiency.calibrated import calibrated
from roofline.report import __main__ as gallery
from roofline.report.comparison import BUDGETS, best_within, fronts_figure
from roofline.report.screenshots import VIEWPORTS
from roofline.search.sweep import Sweep


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("gallery")
    given = ["-o", str(out), "--space", "paper-grid", "--only", "comparison"]
    assert gallery.main(given) == 0
    return out / "comparison"


def test_each_choice_is_the_least_loss_that_is_fast_enough(compared: Path) -> None:
    front, choices = pd.read_csv(compared / "front.csv"), pd.read_csv(compared / "choices.csv")
    assert len(choices) == len(BUDGETS) * len(gallery.GALLERY)
    found = 0
    for _, choice in choices.iterrows():
        mine = front[front["device"] == choice["device"]]
        within = mine[mine["tpot_s"] <= choice["budget_s"]]
        if within.empty:
            assert np.isnan(choice["loss"])
        else:
            assert choice["loss"] == within["loss"].min()
            assert choice["tpot_s"] <= choice["budget_s"]
            found += 1
    assert found >= len(gallery.GALLERY)


def test_each_sweep_of_the_comparison_can_be_repeated(compared: Path) -> None:
    told = json.loads((compared / "summary.json").read_text())
    front = pd.read_csv(compared / "front.csv")
    spaces = set()
    for name in gallery.GALLERY:
        sweep = Sweep.load(compared / f"sweep-{name}.yaml")
        run = sweep.run(sweep.problem())
        spaces.add(sweep.space.name)
        mine = front[front["device"] == name]
        np.testing.assert_allclose(mine["loss"], run.front["loss"], rtol=1e-5)
        assert int(np.flatnonzero(mine["knee"])[0]) == run.knee == told[name]["knee"]
        drawn = fronts_figure({name: run}).axes[0].lines[0]
        np.testing.assert_allclose(
            sorted(drawn.get_xdata()), sorted(run.front["tpot_s"] * 1e3), rtol=1e-9
        )
        assert best_within(run, 0.0) is None
    assert len(spaces) == 1
    page = (compared / "README.md").read_text()
    assert page.count("\n| ") == 1 + len(BUDGETS)


def test_a_kept_run_is_small_and_whole(tmp_path: Path) -> None:
    target = tmp_path / "phone"
    given = gallery.GALLERY["phone"] | {"references": ["none"]}
    gallery.keep(target, "paper-grid", **given)
    kept = {file.name for file in target.iterdir()}
    shown = [f"page-{name}" for name in VIEWPORTS]
    pictures = {f"{name}{end}.png" for name in shown for end in ("", "-dark")}
    assert not pictures & kept or pictures <= kept
    assert all((target / name).stat().st_size < 3e5 for name in pictures & kept)
    assert set(gallery.KEPT) <= kept <= {*gallery.KEPT, *pictures}
    assert sum(file.stat().st_size for file in target.iterdir()) < 3e6
    assert Sweep.load(target / "sweep.yaml").device.name == load_device("phone").name


def test_what_is_not_known_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert gallery.main(["-o", str(tmp_path), "--only", "fridge"]) == 2
    assert "no report 'fridge'" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_two_devices_of_the_gallery_have_rows_of_their_own() -> None:
    for name in ("jetson", "laptop"):
        device = load_device(gallery.GALLERY[name]["device"])
        known = calibrated(device).processor(None).calibration
        assert known is not None
        assert known.basis == "device"


def test_the_phone_of_the_gallery_is_what_the_readme_runs() -> None:
    root = Path(__file__).parents[3]
    readme = (root / "README.md").read_text()
    (name,) = re.findall(r"bin/roofline sweep --device (\S+?)(?:\.yaml)?$", readme, re.MULTILINE)
    device = load_device(name)
    assert gallery.GALLERY["phone"] == {"device": "phone"}
    kept = Sweep.load(root / "reports" / "phone" / "sweep.yaml")
    assert kept.device.name == device.name == load_device("phone").name
    plain = Sweep.prepare(device=device, space="on-device")
    for field in ("objectives", "constraints", "method", "seed", "space"):
        assert getattr(kept, field) == getattr(plain, field), field
    front = pd.read_csv(root / "reports" / "phone" / "front.csv")
    again = kept.estimate(kept.space.at(front["index"].to_numpy()))
    np.testing.assert_allclose(again.tpot, front["tpot_s"], rtol=1e-6)
    np.testing.assert_allclose(again.energy, front["energy_j"], rtol=1e-6)
