"""One architecture for several devices, against a loop over candidates and devices."""

from __future__ import annotations

import numpy as np
import pytest

from hardware_specs import load_device
from roofline.codesign.fleet import MEAN, WORST, answer_fleet
from roofline.codesign.question import Fleet, load_question, prepare
from roofline.engine import estimate
from roofline.laws import load_law, predict
from roofline.mixes import load_mix
from spec_files import SpecError

NAMES = ("sd8elite", "jetson-agx-orin-64", "rpi5")
LIMITS = {"tpot": "30 ms"}
OWN = {"rpi5": {"tpot": "120 ms", "memory": "2 GB"}}


def asked(space, **change) -> Fleet:
    given = dict(
        space=space, devices=[load_device(name) for name in NAMES], mix=load_mix("chat"),
        limits=LIMITS, own_limits=OWN, weights=(3, 1, 1),
    )  # fmt: skip
    return prepare(Fleet, **(given | change))


def brute(space, loss_limit) -> dict[str, int]:
    """The choices by loops: each candidate on each device under each workload."""
    arch, index = space.candidates()
    loss = predict(load_law("codesign"), arch).loss
    mix = load_mix("chat")
    limit = {"sd8elite": 0.03, "jetson-agx-orin-64": 0.03, "rpi5": 0.12}
    share = {}
    for name in NAMES:
        device = load_device(name)
        total, fits = 0.0, True
        for part in mix.workloads:
            said = estimate(arch, device, part.workload())
            total = total + said.tpot / len(mix.workloads)
            usable = device.memory.dram.usable_bytes
            fits = fits & (said.memory_bytes <= (min(usable, 2e9) if name == "rpi5" else usable))
        share[name] = np.where(fits, total / limit[name], np.inf)
    share[WORST] = np.maximum.reduce([share[name] for name in NAMES])
    weighted = 0.6 * share["sd8elite"] + 0.2 * share["jetson-agx-orin-64"] + 0.2 * share["rpi5"]
    share[MEAN] = weighted
    found = {}
    for name, each in share.items():
        value = (
            np.where(each <= 1, loss, np.inf)
            if loss_limit is None
            else np.where(loss <= loss_limit, each, np.inf)
        )
        if np.isfinite(value.min()):
            found[name] = int(index[value == value.min()].min())
    return found


@pytest.mark.parametrize("loss", [None, 3.5])
def test_both_choices_and_each_device_s_own(loss, space) -> None:
    found = answer_fleet(asked(space, loss=loss))
    wanted = brute(space, loss)
    assert {name: choice.index for name, choice in found.choices.items()} == wanted
    assert set(wanted) == {WORST, MEAN, *NAMES}
    worst = found.choices[WORST]
    if loss is None:
        assert max(worst.shares.values()) <= 1
    else:
        assert worst.loss <= loss


def test_what_sharing_costs(space) -> None:
    found = answer_fleet(asked(space))
    for name, (nats, ratio) in found.sharing(WORST).items():
        own = found.choices[name]
        assert nats == found.choices[WORST].loss - own.loss >= 0
        assert ratio == found.choices[WORST].shares[name] / own.shares[name]
    table = found.table()
    assert len(table) == len(found.choices) * len(NAMES)
    row = table[(table["choice"] == WORST) & (table["device"] == "rpi5")].iloc[0]
    known = load_device("rpi5")
    arch = space.at(np.array([row["index"]]))
    mean = np.mean(
        [estimate(arch, known, p.workload()).tpot[0] for p in load_mix("chat").workloads]
    )
    assert row["tpot_s"] == pytest.approx(mean, rel=1e-12)
    assert row["tpot_s_low"] < row["tpot_s"] < row["tpot_s_high"]


def test_a_device_that_no_architecture_serves_is_named(space) -> None:
    own = {"rpi5": {"tpot": "1 us"}}
    found = answer_fleet(asked(space, own_limits=own))
    assert set(found.missing) >= {WORST, "rpi5"}
    assert "times the limits" in found.missing["rpi5"]
    assert "sd8elite" in found.choices


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"weights": (1, -1, 1)}, "no weight of a device"),
        ({"weights": (1, 1)}, "2 weights for 3 devices"),
        ({"own_limits": {"rpi6": {"tpot": "1 s"}}}, "nearest is 'rpi5'"),
        ({"own_limits": {"rpi5": {"tpt": "1 s"}}}, "nearest is 'tpot'"),
        ({"own_limits": {"rpi5": {"ttft": "1 s"}}}, "do not compare"),
        ({"limits": {}}, "no limit says how fast"),
        ({"loss": 1.0}, "nearest is"),
    ],
)
def test_what_cannot_be_asked(change, words, space) -> None:
    with pytest.raises(SpecError, match=words) as refused:
        answer_fleet(asked(space, **change))
    assert "\n" not in str(refused.value)


def test_a_device_twice(space) -> None:
    with pytest.raises(SpecError, match="given twice"):
        asked(space, devices=[load_device("rpi5")] * 2, weights=(), own_limits={})


def test_a_question_reads_back_equal(space, tmp_path) -> None:
    file = tmp_path / "codesign.yaml"
    file.write_text(asked(space).to_yaml())
    assert load_question(file) == asked(space)
