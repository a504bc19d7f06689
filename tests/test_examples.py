"""Every example that a reader may copy runs: the pages' snippets, and those in each command's help.

A page is read from its top to its end in one folder, empty but for what a reader has (`GIVEN`);
`snippets.py` says what each kind of snippet is.
"""

import contextlib
import json
import re
import shutil
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import typer
from filelock import FileLock

from roofline.cli.app import app

from .snippets import ROOT, Step, execute, made_by, steps

TUTORIAL = "docs/tutorial.md"
PAGES = {
    str(path.relative_to(ROOT)): path.read_text()
    for path in (
        ROOT / TUTORIAL,  # the first: a command that an earlier page runs may be left out
        *sorted(ROOT.glob("*.md")),
        *sorted((ROOT / "docs").rglob("*.md")),
        *sorted((ROOT / "notebooks").rglob("*.md")),
        ROOT / "reports" / "README.md",  # those below it are written by the commands they name
    )
}

# ---- What a reader has


def _config(file: Path) -> None:
    from arch_space.huggingface import to_huggingface
    from arch_space.library import load_model

    file.write_text(json.dumps(to_huggingface(load_model("smollm2-135m"), "llama")))


def _measurements(file: Path) -> None:
    from hardware_specs.measurements.rows import load_rows

    rows = load_rows()
    rows[rows["device_key"] == "rpi5"].to_csv(file, index=False)


def _bench(file: Path) -> None:
    """Write what `llama-bench -o json` writes of a prompt, and of tokens after it."""
    common = {"backends": "CUDA", "cpu_info": "a desk's", "gpu_info": "NVIDIA GeForce RTX 4090",
              "model_filename": "llama-3.1-8b-q4_k_m.gguf", "model_type": "llama 8B Q4_K - Medium",
              "model_size": 4912898048, "model_n_params": 8030261312, "n_batch": 2048,
              "n_ubatch": 512, "n_threads": 8, "type_k": "f16", "type_v": "f16", "n_gpu_layers": 99,
              "n_depth": 0, "test_time": "2026-03-01T10:15:00Z", "build_commit": "8cf427ff",
              "build_number": 5163, "flash_attn": True}  # fmt: skip
    read = {"n_prompt": 512, "n_gen": 0, "avg_ts": 11200.0, "stddev_ts": 30.0}
    written = {"n_prompt": 0, "n_gen": 128, "avg_ts": 135.0, "stddev_ts": 0.4}
    file.write_text(json.dumps([common | read, common | written]))


def _runs(file: Path) -> None:
    from roofline.laws import load_law

    noise = np.random.default_rng(0).normal(0, 0.002, 48)
    size, tokens = (
        each.ravel() for each in np.meshgrid(np.geomspace(2e7, 2e9, 8), np.geomspace(1e9, 1e11, 6))
    )
    loss = load_law("chinchilla").at(size, tokens) * np.exp(noise)
    layers = np.tile([8, 12, 16, 24], 12)
    width = np.rint(np.sqrt(size / layers / 12))
    table = {"N": size, "D": tokens, "width": width, "layers": layers, "loss": loss}
    pd.DataFrame(table).to_csv(file, index=False)


def _curve(file: Path) -> None:
    """Coverage and votes of a reader's own model, by a spread of difficulty that is known."""
    from roofline.strategies import Difficulty

    true = Difficulty(alpha=0.5, beta=1.5, concentration=0.4)
    samples = np.array([1, 2, 4, 8, 16, 32])
    kinds = {"coverage": true.coverage(samples), "majority": true.majority(samples)}
    rows = [pd.DataFrame({"samples": samples, "accuracy": a, "kind": k}) for k, a in kinds.items()]
    pd.concat(rows).to_csv(file, index=False)


def _form(file: Path) -> None:
    (found,) = [s for s in steps("docs/fitting.md", PAGES["docs/fitting.md"]) if s.kind == "file"]
    file.write_text(found.text)


def _shaped_law(file: Path) -> None:
    """Write a law that sees an architecture's shape, as a budget needs it."""
    shutil.copy(ROOT / "roofline" / "laws" / "published" / "codesign.yaml", file)


def _gallery(folder: Path) -> None:
    for file in (ROOT / "reports").glob("*/sweep.yaml"):
        (folder / file.parent.name).mkdir(parents=True)
        shutil.copy(file, folder / file.parent.name)


# Files that examples read and no example writes; what other examples read is made by a command.
GIVEN: dict[str, Callable[[Path], None] | str] = {
    "config.json": _config,
    "measurements.csv": _measurements,
    "mine.csv": _measurements,
    "new.csv": _measurements,
    "bench.json": _bench,
    "runs.csv": _runs,
    "curve.csv": _curve,
    "my-form.yaml": _form,
    "my-law.yaml": "roofline fit runs.csv --form chinchilla -o my-law.yaml",
    "my_law.yaml": _shaped_law,
    "my-pi.yaml": "roofline calibrate measurements.csv --device rpi5 -o my-pi.yaml",
    "here.yaml": "roofline probe --quick -o here.yaml",
    "sweep-phone": "roofline sweep --device phone --space paper-grid -o sweep-phone",
    "reports": _gallery,
    "team": "roofline export sweep-phone --to huggingface -o team",
}


def give(todo: list[Step], store: Path) -> None:
    """Put into the working folder what the steps read and do not make themselves."""
    made: set[str] = set()
    for step in todo:
        words = re.findall(r"[\w.-]+", step.text) if step.kind in ("command", "python") else []
        for name in GIVEN:
            if name in words and name not in made | made_by(step):
                take(name, store)
                made.add(name)
        if "--resume" in words:  # what a sweep leaves that was killed at once
            for file in Path("sweep-phone").iterdir():
                if file.name != "sweep.yaml":
                    shutil.rmtree(file) if file.is_dir() else file.unlink()
        made |= made_by(step)


def take(name: str, store: Path) -> None:
    """Copy one given file or folder, made once for all processes that test."""
    how = GIVEN[name]
    with FileLock(store / f"{name}.lock"):
        if (store / name).exists():
            pass
        elif callable(how):
            how(store / name)
        else:
            with contextlib.chdir(store):
                give([Step(name, "command", how)], store)
                execute(Step(name, "command", how))
    if Path.cwd() != store:
        copy = shutil.copytree if (store / name).is_dir() else shutil.copy
        copy(store / name, name)


def do(step: Step, names: dict, store: Path) -> None:
    """Do one step; what makes a given file is done once for all pages."""
    makes = [name for name, how in GIVEN.items() if how == step.text]
    if makes and not Path(makes[0]).exists() and not step.shown:
        take(makes[0], store)
    else:
        execute(step, names)


def once(pages: dict[str, list[Step]]) -> dict[str, list[Step]]:
    """Leave out a command that an earlier page runs, if nothing later on its page needs its files.

    What is given, as if the reader had it, need not be made again.
    """
    seen: set[str] = set()
    kept: dict[str, list[Step]] = {}
    for page, found in pages.items():
        kept[page] = []
        for number, step in enumerate(found):
            later = " ".join(each.text for each in found[number + 1 :])
            made = any(name in later for name in made_by(step) - set(GIVEN))
            needed = step.kind != "command" or step.shown or made
            if step.text not in seen or needed:
                kept[page].append(step)
        seen |= {step.text for step in found if step.kind == "command"}
    return kept


@pytest.fixture(scope="session")
def store(shared: Path) -> Path:
    """Where given files are made, for all processes that test."""
    folder = shared / "given"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(autouse=True)
def _empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FORCE_COLOR", raising=False)


@cache
def to_do() -> dict[str, list[Step]]:
    """Return the steps of all pages; none for one that cannot be read, whose own test says why."""
    read: dict[str, list[Step]] = {}
    for page, text in PAGES.items():
        try:
            read[page] = steps(page, text)
        except (AssertionError, pytest.fail.Exception):
            read[page] = []
    return once(read)


@pytest.mark.parametrize("page", PAGES)
def test_a_page_does_what_it_says(page: str, store: Path) -> None:
    steps(page, PAGES[page])
    todo, names = to_do()[page], {"__name__": "__main__"}
    give(todo, store)
    assert page != TUTORIAL or not list(Path().iterdir()), "a stranger has nothing yet"
    for step in todo:
        do(step, names, store)


# ---- Help


def leaves(node: typer.core.TyperCommand, path: str = "roofline") -> Iterator[tuple[str, str]]:
    """Yield each command with its help; a group that does something alone is a command."""
    inner = getattr(node, "commands", {})
    if not inner or getattr(node, "invoke_without_command", False):
        yield path, node.help or ""
    for name, each in inner.items():
        yield from leaves(each, f"{path} {name}")


HELP = dict(leaves(typer.main.get_command(app)))


def examples(text: str) -> list[str]:
    return [" ".join(each.split()) for each in re.findall(r"`(roofline\s[^`]+)`", text)]


@pytest.mark.parametrize("command", HELP)
def test_help_teaches_by_example(command: str) -> None:
    assert any(f"{each} ".startswith(f"{command} ") for each in examples(HELP[command]))


@pytest.mark.parametrize(
    "command",
    sorted({each for text in HELP.values() for each in examples(text)}
           - {step.text for page in to_do().values() for step in page}),
)  # fmt: skip
def test_an_example_of_help_runs(command: str, store: Path) -> None:
    step = Step("--help", "command", command)
    give([step], store)
    do(step, {}, store)


# ---- The harness itself


def doing(tmp_path: Path, page: str) -> None:
    names: dict = {}
    for step in steps("page", page):
        execute(step, names)


@pytest.mark.parametrize(
    "page",
    [
        "```console\n$ roofline laws\nname …\n```\n",  # not what it prints
        "```console\n$ roofline models show smollm2-135m\n…\n134,515,007\n…\n```\n",
        "```console\n$ roofline devices --kind phone\n…\n│ a13 …\n│ a16 …\n…\n```\n",
        "```console\n$ roofline sweep\n```\n",  # refused, and the page does not say so
        "```console\n$ roofline laws --nonsense\nroofline: all is well\n```\n",
        "```bash\nroofline laws | head -3\n```\n",
        "```bash\nwget nowhere\n```\n",
        "```bash\npip install '.[nonsense]'\n```\n",
        "```python\nprint(1)\n```\n\n```text\n2\n```\n",
        "```text\n$ roofline laws\n```\n",
        "```yaml\nname: x\n```\n",
        "```fortran\nprint *, 1\n```\n",
        "```\nroofline laws\n```\n",
        "```bash\nroofline laws\n",
        "`roofline estimate --nonsense`",
        "`roofline lawz show NAME`",
    ],
)
def test_a_page_that_is_wrong_fails(page: str, tmp_path: Path) -> None:
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        doing(tmp_path, page)


def test_what_is_left_out_may_be_anything(tmp_path: Path) -> None:
    doing(
        tmp_path,
        "```console\n$ roofline devices --kind phone  # all of them\n…\n"
        "│ a15 … │ 34.1 GB/s │ …\n│ a16 …\n…\n```\n\n"
        "```console\n$ roofline sweep\nroofline: no device was given…\n```\n\n"
        '```python\nprint("one")\n```\n\n```text\none\n```\n\n`roofline laws show NAME`',
    )
