"""Bits chosen together with width and depth, at losses that the published tables give."""

from dataclasses import replace
from math import log

import numpy as np
import pytest

from arch_space.formats import FORMATS, format_code
from arch_space.spaces import Space, load_space
from hardware_specs import load_device
from roofline import Workload
from roofline.compression.steps import Quantise
from roofline.degradation import gguf, methods
from roofline.laws import load_law, penalty, predict
from roofline.search import Problem, search
from roofline.search.problem import RooflineEvaluator
from spec_files import SpecError

SPACE = load_space("number-formats")
NAMES = SPACE.dimensions["weight_format"]


def nats(name):
    table = replace(SPACE.at(0), weight_format=format_code(name))
    return penalty(table.with_formats(weights=name)).nats[0]


@pytest.mark.parametrize("name", NAMES)
def test_every_format_of_the_space_has_a_published_loss(name):
    assert np.isfinite(nats(name))
    assert (nats(name) > 0) == (name != "fp16")


def test_formats_are_priced_by_their_methods_tables():
    """Llama-3-8B, perplexities copied by hand: GPTQ 6.5, 8.2 of 6.1; EfficientQAT 9.41 of 6.14;
    llama.cpp Q3_K_M 6.888498 of 6.231636."""
    assert nats("int4-g128") == pytest.approx(log(6.5 / 6.1))
    assert nats("int3-g128") == pytest.approx(log(8.2 / 6.1))
    assert nats("int2-g64") == pytest.approx(log(9.41 / 6.14))
    assert nats("q3_k_m") == pytest.approx(log(6.888498 / 6.231636))


@pytest.mark.parametrize("name", [n for n in NAMES if n in gguf.types()])
def test_the_sweep_and_the_recipe_agree_on_llama_3_8b(name):
    assert nats(name) == pytest.approx(gguf.gguf(name, 8.030, 15).nats)


@pytest.mark.parametrize(
    ("name", "step"), [("int4-g128", "gptq:4:g128"), ("int3-g128", "gptq:3:g128"),
                       ("int4-channel", "gptq:4:channel"), ("int4-g32", "gptq:4:g32")]
)  # fmt: skip
def test_the_fit_of_gptq_is_near_the_measured_row(name, step):
    _, bits, group = step.split(":")
    quantise = Quantise.parse(["gptq", bits, group])
    assert quantise.format == name
    fitted = methods.quantised("gptq", quantise.bits, quantise.group, 8.030, 15)
    assert fitted.low < nats(name) < fitted.high


def test_a_search_chooses_bits_together_with_width_and_depth():
    space = SPACE.model_dump(by_alias=True) | {
        "dimensions": {
            "layers": [8, 16, 24],
            "width": [768, 1536, 2304],
            "head_size": [64],
            "kv_heads": [4],
            "ffn_ratio": [2, 4],
            "weight_format": ["fp16", "int8", "int4-g128", "int3-g128", "int2-g64", "q4_k_m"],
        }
    }
    judge = RooflineEvaluator(
        load_device("phone"), Workload(prompt=64, generate=16), load_law("codesign")
    )
    found = search(Problem(Space(**space), judge, ("loss", "memory")))
    chosen = found.architectures
    formats = {FORMATS[code].name for code in np.unique(chosen.weight_format)}
    assert len(formats) >= 3
    assert len(np.unique(chosen.width)) >= 2
    assert len(np.unique(chosen.layers)) >= 2
    # 16 bits are worth their bytes for the best model there is alone, 8 add next to nothing
    wide = chosen.weight_format == format_code("fp16")
    assert np.flatnonzero(wide).tolist() == [0]
    every = Space(**space).candidates()[0]
    assert found.points[0, 0] == predict(load_law("codesign"), every).loss.min()


def test_a_format_without_a_table_is_refused():
    with pytest.raises(SpecError, match="weights in nvfp4: no published change"):
        nats("nvfp4")
