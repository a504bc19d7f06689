"""The run that figures and page are drawn of."""

from types import SimpleNamespace

import numpy as np
import pytest

from arch_space.spaces import load_space
from roofline.engine import estimate
from roofline.laws import load_law
from roofline.report.points import (
    NATS,
)
from roofline.search.workload_spec import model_file
from roofline.workload import Workload

from .inputs import EVIL, ROWS, candidates, phone, table


@pytest.fixture
def run() -> SimpleNamespace:
    device, work, arch = phone(), Workload(prompt=256, generate=32), candidates()
    front = table(arch, estimate(arch, device, work))
    front = front.assign(tpot_s_low=0.8 * front["tpot_s"], tpot_s_high=1.3 * front["tpot_s"])
    front = front.assign(loss_low=front["loss"] - 0.03, loss_high=front["loss"] + 0.03)
    front = front.assign(p_front=np.linspace(0.0, 0.55, ROWS), p_tpot=0.7, p_feasible=0.62)
    references = front.iloc[[2, 5]].reset_index(drop=True).assign(name=["small-1b", EVIL])
    references["loss"] += 0.05
    return SimpleNamespace(
        front=front,
        references=references,
        knee=4,
        runner_up=7,
        objectives=("loss", "tpot"),
        constraints={"tpot": float(front["tpot_s"].max()) * 1.1},
        device=device,
        processor="gpu",
        runtime="mnn",
        basis="class prior, no rows of this device under mnn",
        intervals={"prefill": (0.7, 1.5), "decode": (0.8, 1.3)},
        placement=None,
        sweep=SimpleNamespace(
            ideal=False,
            placement=None,
            mix=None,
            space=load_space("paper-grid"),
            references=[model_file("smollm2-135m")],
            versions={"roofline": "0.1.0"},
        ),
        architectures=candidates,
        workload=work,
        asked=work.to_dict(),
        asked_briefly="prompt 256, 32 tokens generated, batch 1",
        law_title="A law",
        loss_unit=NATS,
        laws=(load_law("codesign"),),
        space_title=f"A space {EVIL}",
        summary={"method": "exact", "evaluated": 12_345, "seconds": 0.5},
    )
