"""Recipes as text and as files, and the sentences about those that cannot be."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roofline.cli import run
from roofline.compression.recipe import Recipe, load_recipe, published
from roofline.compression.steps import STEPS, Cache, Distil, Lora, Prune, Quantise
from spec_files import SpecError

WHOLE = "distil:llama-3.1-70b:4B,lora:32,muon:0.17,prune:wanda:2:4,gptq:4:g128,kv:int8"


def test_a_recipe_reads_back_from_its_text_and_its_file(tmp_path):
    recipe = load_recipe(WHOLE)
    assert [type(step) for step in recipe.steps] == [Distil, Lora, Prune, Quantise, Cache]
    assert recipe.step(Distil).tokens == 4e9
    assert recipe.step(Prune).pattern == "2:4"
    assert recipe.decay == 0.17
    assert str(recipe) == WHOLE
    assert load_recipe(str(recipe)) == recipe
    file = tmp_path / "recipe.yaml"
    file.write_text(recipe.to_yaml())
    assert load_recipe(str(file)) == recipe


def test_a_file_may_mix_words_and_fields(tmp_path):
    file = tmp_path / "recipe.yaml"
    file.write_text(
        "name: mine\nsteps:\n  - distil: {teacher: llama-3.1-70b, tokens: 1M}\n  - lora\n"
        "  - q4_k_m:imatrix\n  - kv: {format: int8}\noptimiser: {name: muon, batch: 64k}\n"
    )
    recipe = load_recipe(str(file))
    assert str(recipe) == "distil:llama-3.1-70b:1M,lora,muon,gguf:q4_k_m:imatrix,kv:int8"
    assert recipe.optimiser.batch == 64_000
    assert recipe.name == "mine"


def test_a_teacher_may_be_a_file_and_a_file_may_hold_a_student_law(tmp_path):
    assert load_recipe("distil:./teacher.yaml").step(Distil).teacher == "./teacher.yaml"
    law = dict(c0=1, c1=1, d1=1, f1=1, a=1, alpha=1, b=1, beta=1, gamma=1)
    step = Distil(teacher="llama-3.1-70b", start="scratch", student=law, pretrain=True)
    file = tmp_path / "recipe.yaml"
    file.write_text(Recipe(steps=(step,)).to_yaml())
    assert load_recipe(str(file)).steps == (step,)
    file.write_text("steps:\n  - distil: llama-3.1-70b\n  - quantise: gptq:4:g128\n")
    assert str(load_recipe(str(file))) == "distil:llama-3.1-70b,gptq:4:g128"


def test_the_published_recipe():
    """arXiv 2601.09865: distilled into adapters by Muon, then GPTQ at 4 bits."""
    assert str(published("llama-3.1-70b")) == "distil:llama-3.1-70b,lora,muon,gptq:4:g128"


def test_every_step_writes_what_it_reads():
    for word, kind in STEPS.items():
        recipe = load_recipe(kind.example)
        assert type(recipe.steps[0]) is kind, word
        assert load_recipe(str(recipe)) == recipe
    assert load_recipe("none").steps == ()
    assert str(load_recipe("none")) == "none"


NONSENSE = {
    "gptq:4:g128,awq:4:g128": "weights are quantised twice, by gptq:4:g128 and by awq:4:g128",
    "gptq:4:g128,q4_k_m": "weights are quantised twice",
    "kv:int8,kv:int4": "the cache is quantised twice",
    "prune:wanda:2:4,prune:wanda:0.5": "weights are pruned twice",
    "gptq:0": "gptq at 0 bits has no published table .* nearest is gptq:3",
    "rtn:2": "ruins there; nearest is omniquant:2:g128",
    "gptq:16": "gptq at 16 bits .* nearest is gptq:8",
    "gptq:-4": "read '-4' where bits belong",
    "gptq:four": "read 'four' where bits belong",
    "gptq": "gptq needs its bits, as in gptq:4:g128",
    "gptq:4:128": "read '128' where a group belongs",
    "gptq:4:g0": "a group of 0 weights",
    "gptq:4:g100": "groups of 100 .* nearest is g128",
    "omniquant:2:channel": "nearest is omniquant:2:g128",
    "efficientqat:4": "measured in groups only",
    "gptq:4:g128:sym": "says too much",
    "gptq:4:g128,prune:wanda:2:4": "no published method prunes quantised .*'prune:wanda:2:4,gptq",
    "gptq:4,distil:llama-3.1-70b": "back to 16 bits; nearest is 'distil:llama-3.1-70b,gptq:4",
    "gptq:4,lora": "adapters take quantised weights back",
    "prune:wanda:2:4,lora": "fill the zeros",
    "lora,distil:llama-3.1-70b": "the adapters are what the distillation trains",
    "quantize:4": "unknown step 'quantize'; nearest is 'quantise'",
    "gtpq:4": "unknown step 'gtpq'; nearest is 'gptq'",
    "q4_k_mm": "unknown step 'q4_k_mm'; nearest is 'q4_k_m'",
    "gguf": "gguf needs a type",
    "gguf:q4_k_m:matrix": "only 'imatrix' may stand there",
    "gguf:q8_0:imatrix": "q8_0 was not measured with an importance matrix",
    "muon,gptq:4": "no step of the recipe trains",
    "lora,muon,adam": "a recipe has one optimiser",
    "lora,muon:x": "write the optimiser's factor as in muon:0.17",
    "lora,muon:-1": "greater than 0",
    "lora:0": "greater than or equal to 1",
    "distil:llama-3.1-70b:lots": "write a positive count such as 1.2M",
    "prune:wanda:3:7": "no published loss of the pattern '3:7'; known: 0.5, 4:8, 2:4",
    "prune:wand:2:4": "nearest is 'wanda'",
    "kv:int3": "unknown number format 'int3'",
    "kv:q4_k_m": "not a format for this",
    "gptq:4,,kv:int8": "an empty step stands between commas",
    "": "an empty step",
    "missing.yaml": "missing.yaml: no such file",
}


@pytest.mark.parametrize("text", NONSENSE)
def test_nonsense_is_one_sentence_and_exit_code_2(text, capsys):
    arguments = ["compress", "-m", "llama-3.2-3b", "-d", "phone", "--recipe", text]
    assert run(arguments) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.count("\n") == 1
    with pytest.raises(SpecError, match=NONSENSE[text]) as told:
        load_recipe(text)
    assert " ".join(str(told.value).split()) in printed.err


MISFITS = {
    "distil:llama-3.2-1b": "the teacher has 1.24B parameters and the student llama-3.2-3b 3.21B",
    "distil:qwen2.5-72b": "a teacher shares the student's vocabulary",
    "distil:llama-3.1-70bb": "nearest",
    "lora:4096": "not below the smallest side",
}


@pytest.mark.parametrize("text", MISFITS)
def test_what_does_not_fit_the_model_is_one_sentence_too(text, capsys):
    assert run(["compress", "-m", "llama-3.2-3b", "-d", "phone", "--recipe", text]) == 2
    printed = capsys.readouterr().err
    assert MISFITS[text] in printed
    assert printed.count("\n") == 1


def test_a_group_that_does_not_divide_names_the_matrix_and_the_nearest(capsys):
    """Qwen2.5-0.5B: 896 inputs divide by 128, its 4864 by 256, but 896 not by 256."""
    arguments = ["compress", "-m", "qwen2.5-0.5b", "-d", "phone", "--recipe", "gptq:4:g256"]
    assert run(arguments) == 2
    printed = capsys.readouterr().err
    assert "groups of 256 do not divide the 896 inputs of the query matrix" in printed
    assert "nearest is g128" in printed


def test_errors_of_a_file_say_where(tmp_path):
    file = tmp_path / "recipe.yaml"
    file.write_text("steps:\n  - gptq:4:g128\n  - awq:4:g128\n")
    with pytest.raises(SpecError, match=r"recipe.yaml:3: steps\[1\]: weights are quantised twice"):
        load_recipe(str(file))
    file.write_text("steps:\n  - quantise: {method: gptq, bits: 4, groups: 128}\n")
    with pytest.raises(SpecError, match="nearest is 'group'"):
        load_recipe(str(file))
    file.write_text("steps:\n  - 4\n")
    with pytest.raises(SpecError, match="where a step belongs"):
        load_recipe(str(file))
    file.write_text("step:\n  - gptq:4\n")
    with pytest.raises(SpecError, match="nearest is 'steps'"):
        load_recipe(str(file))


@settings(deadline=None)
@given(text=st.text(alphabet="gptqawk:,0123489kvin_ -.", max_size=30))
def test_any_text_is_a_recipe_or_a_spec_error(text):
    try:
        recipe = load_recipe(text)
    except SpecError:
        return
    assert isinstance(recipe, Recipe)
    assert load_recipe(str(recipe)) == recipe
