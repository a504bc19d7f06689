"""How a profile is found: by its name, an alias, a file, or what a person nearly typed."""

from pathlib import Path

import pytest

import hardware_specs
from hardware_specs import load_device, shipped_devices
from hardware_specs.library import shipped_aliases
from spec_files import SpecError

ORIN = (Path(hardware_specs.__file__).parent / "jetson-agx-orin-64.yaml").read_text()

# Names of earlier releases, and those that people type.
OTHER_NAMES = {
    "phone": "sd8elite",
    "a100-80gb": "a100-80-sxm",
    "apple-m4-max": "m4max-40",
    "raspberry-pi-5": "rpi5",
    "rtx-4090": "rtx4090",
    "jetson-agx-orin-64gb": "jetson-agx-orin-64",
}


def test_aliases_are_unique_and_found_without_parsing():
    parsed = [(alias, n) for n in shipped_devices() for alias in load_device(n).aliases]
    names = [alias for alias, _ in parsed] + shipped_devices()
    assert len(names) == len(set(names))
    assert shipped_aliases() == dict(parsed)
    assert OTHER_NAMES.items() <= dict(parsed).items()


@pytest.mark.parametrize("alias", OTHER_NAMES)
@pytest.mark.parametrize("end", ["", ".yaml"])
def test_an_alias_loads_its_profile(alias, end, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert load_device(alias + end).name == OTHER_NAMES[alias]


def test_a_folder_does_not_hide_an_alias(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "phone").mkdir()
    (tmp_path / "elsewhere").mkdir()
    assert load_device("phone").name == load_device("phone.yaml").name
    with pytest.raises(SpecError, match="'elsewhere' is a folder"):
        load_device("elsewhere")


def test_names_with_underscores_and_local_files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert load_device("jetson_agx_orin_64").name == "jetson-agx-orin-64"
    assert load_device("a100_80_sxm.yaml").name == "a100-80-sxm"
    assert load_device("Raspberry_Pi_5").name == "rpi5"
    Path("phone.yaml").write_text(ORIN)
    assert load_device("phone.yaml").name == "jetson-agx-orin-64"
    assert load_device("phone").name == "sd8elite"
    Path("a_b.yaml").write_text(ORIN)
    assert load_device("a_b.yaml").name == "jetson-agx-orin-64"


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ("rasberry-pi-5", "nearest is 'raspberry-pi-5'"),
        ("rtx_5009", "nearest is 'rtx-50"),
        ("zzzzzz", "`roofline devices` lists them all"),
        ("elsewhere/phone.yaml", "no device 'elsewhere/phone.yaml'"),
    ],
)
def test_unknown_name_is_one_sentence(asked, says):
    with pytest.raises(SpecError) as error:
        load_device(asked)
    sentence = str(error.value)
    assert says in sentence
    assert sentence.endswith(".")
    assert "\n" not in sentence
    assert asked.startswith("elsewhere") or len(sentence) < 120
