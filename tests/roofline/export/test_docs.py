"""docs/export.md names the stacks and the laws that there are."""

import re
from pathlib import Path

PAGE = (Path(__file__).parents[3] / "docs" / "export.md").read_text()


def test_the_page_names_what_there_is():
    from arch_space.huggingface import FAMILIES
    from roofline.export.hyperparameters import hyper_laws
    from roofline.export.stacks import stacks

    assert set(re.findall(r"^\| `(\w+)` \| `", PAGE, flags=re.MULTILINE)) == set(stacks())
    assert f"one of {len(FAMILIES)} model types" in PAGE
    for law in hyper_laws().values():
        for power in (law.learning_rate, law.batch_tokens):
            for name, value in power.items():
                assert (f"{value:g}" if name == "coefficient" else f"{name}^{value:g}") in PAGE
