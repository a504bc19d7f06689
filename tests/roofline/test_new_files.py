"""`new-device` and `new-space`: what they write loads as it stands, and explains itself."""

import json
import os
import re
import shlex
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from arch_space import template as space_template
from arch_space.rules import HELPERS
from arch_space.spaces import Space, load_space, shipped_spaces
from hardware_specs import load_device, shipped_devices
from hardware_specs import template as device_template
from hardware_specs.device import KINDS, Device
from roofline.cli import run
from spec_files import Spec, SpecError, parse_spec
from spec_files.commented import Commented

SMALL = """
name: small
fixed: {vocabulary: 32000, head_size: 64, kv_heads: all, weight_format: q4_0, ffn_ratio: 4}
dimensions:
  layers: [8, 16, 24]
  width: [512, 768, 1024]
"""


@pytest.fixture(autouse=True)
def _empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def words(text: str) -> str:
    """The words of all comments, without the ends of their lines."""
    return " ".join(" ".join(re.findall(r"# (.*)$", text, flags=re.M)).split())


def described(model: type[Spec], found: dict[str, str]) -> dict[str, str]:
    """The description of every field of a model and of those inside it."""
    for name, field in model.model_fields.items():
        found[f"{model.__name__}.{name}"] = " ".join((field.description or "").split())
        inner = [field.annotation]
        while inner:
            each = inner.pop()
            inner += getattr(each, "__args__", ())
            if isinstance(each, type) and issubclass(each, Spec):
                described(each, found)
    return found


def switched_on(text: str) -> str:
    """The text with every optional line in force."""
    return re.sub(r"^(\s*)#(?=[^ #])", r"\1", text, flags=re.M)


@pytest.mark.parametrize("name", shipped_devices())
def test_a_copied_device_is_the_device(name):
    device = device_template.copied(name, "my-own")
    text = device_template.device_text(device, name)
    read = parse_spec(text, Device, "my-own.yaml")
    original = load_device(name).model_dump()
    assert read.model_dump() == original | {"name": "my-own", "aliases": ()}
    marked = len(re.findall(r"# CHECK$", text, flags=re.M))
    assert marked >= sum(1 for _ in device.figures())


@pytest.mark.parametrize("name", shipped_spaces())
def test_a_copied_space_is_the_space(name):
    space = space_template.copied(name, "my-own")
    text = space_template.space_text(space, name)
    read = parse_spec(text, Space, "my-own.yaml")
    original = load_space(name)
    assert read.model_dump() == original.model_dump() | {"name": "my-own"}
    assert read.size == original.size


@pytest.mark.parametrize("kind", KINDS)
def test_a_template_is_the_middle_of_its_class(kind):
    device = device_template.typical(kind, "my-own")
    text = device_template.device_text(device, None)
    assert parse_spec(text, Device, "my-own.yaml") == device
    members = [load_device(n) for n in shipped_devices() if load_device(n).kind == kind]
    bandwidths = sorted(d.memory.dram.bandwidth.value for d in members)
    typical = device.memory.dram.bandwidth
    below = sum(b <= typical.value * 1.01 for b in bandwidths)
    above = sum(b >= typical.value * 0.99 for b in bandwidths)
    assert min(below, above) >= len(members) / 2
    assert typical.low == pytest.approx(bandwidths[0], rel=0.01)
    assert typical.high == pytest.approx(bandwidths[-1], rel=0.01)
    for _, figure in device.figures():
        assert (figure.basis, figure.source) == ("prior", "typical")
    assert "no fact" in device.sources["typical"].title
    assert not {device.name, device.title} & {d.title for d in members}


@pytest.mark.parametrize("kind", KINDS)
def test_every_field_of_a_device_is_explained_once(kind):
    text = device_template.device_text(device_template.typical(kind, "my-own"), None)
    said = words(text)
    for field, meaning in described(Device, {}).items():
        assert meaning, f"{field} has no description"
        if not field.startswith(("Figure.", "Measured.", "Peak.", "Share.", "Ratio.")):
            short = meaning.removesuffix(".")
            assert short in said, field
    copied = device_template.device_text(device_template.copied("rpi5", "my-own"), "rpi5")
    assert "#data-sheet:" in copied
    for meaning in {"The number, with its unit.", "A key of the profile's `sources`."}:
        assert said.count(meaning) == 1
    assert "76.8 GB/s" in said
    assert "42.5 TFLOP/s" in said
    assert re.search(r"One of phone, jetson, .*?Required", said)


def test_what_is_switched_off_is_valid_too():
    text = device_template.device_text(device_template.typical("phone", "my-own"), None)
    on = switched_on(text)
    on = re.sub(r"^ *peaks_unknown: .*\n", "", on, flags=re.M)  # there are peaks
    on = re.sub(
        r"^( *bandwidth: {value: )76.8 GB/s", r"\g<1>900 GB/s", on, flags=re.M
    )  # of a cache
    device = parse_spec(on, Device, "on.yaml")
    unset = [
        name
        for name in ("efficiency", "kernel_launch", "calibration", "energy_per_flop", "tile")
        if not getattr(device.processors["gpu"], name)
    ]
    assert unset == []
    assert device.memory.on_chip
    assert device.power.idle is not None


@pytest.mark.parametrize("kind", space_template.KINDS)
def test_a_template_of_a_space_names_every_field_once(kind):
    space = space_template.typical(kind, "my-own")
    text = space_template.space_text(space, None)
    assert parse_spec(text, Space, "my-own.yaml") == space
    assert 100 < space.valid_count < 10**6
    for name in space_template.KNOBS:
        assert len(re.findall(rf"^ *#?(?:\w+, )?{name}(?:, \w+)?:", text, flags=re.M)) == 1, name
    said = words(text)
    for name, about in HELPERS.items():
        assert about in said, name
    for meaning in described(Space, {}).values():
        assert meaning
        assert meaning.removesuffix(".") in said


class TestDeviceCommand:
    def test_it_writes_once(self, capsys):
        assert run(["new-device", "my-phone"]) == 0
        printed = capsys.readouterr().out
        assert "roofline sweep --device my-phone.yaml" in printed
        before = Path("my-phone.yaml").read_bytes()
        assert load_device("my-phone.yaml").kind == "phone"
        assert run(["new-device", "my-phone", "--kind", "sbc"]) == 2
        assert "exists" in capsys.readouterr().err
        assert Path("my-phone.yaml").read_bytes() == before

    def test_the_next_commands_run(self, capsys):
        Path("small.yaml").write_text(SMALL)
        assert run(["new-device", "my-pi", "--kind", "sbc", "-o", "a pi.yaml", "--json"]) == 0
        told = json.loads(capsys.readouterr().out)
        assert told["file"] == "a pi.yaml"
        assert len(told["next"]) == 2
        for line in told["next"]:
            extra = ["--space", "small.yaml", "-o", "run"] if " sweep " in line else []
            assert run([*shlex.split(line)[1:], *extra]) == 0, capsys.readouterr().err
        assert Path("run/front.csv").is_file()

    @pytest.mark.parametrize(
        ("words_", "said"),
        [
            (["My Phone"], "lower-case"),
            (["../up"], "lower-case"),
            ([""], "lower-case"),
            (["phone"], "sd8elite"),
            (["rpi5"], "rpi5"),
            (["mine", "--kind", "phon"], "'phone'"),
            (["mine", "--like", "rpi55"], "rpi"),
            (["mine", "--like", "rpi5", "--kind", "sbc"], "one of them"),
            (["mine", "-o", "."], "folder"),
            (["mine", "-o", "no/where.yaml"], "No such file"),
        ],
    )
    def test_it_refuses(self, words_, said, capsys):
        assert run(["new-device", *words_]) == 2
        printed = capsys.readouterr()
        assert said in printed.err
        assert printed.out == ""
        assert printed.err.count("\n") == 1
        assert not list(Path().iterdir())

    def test_standard_output_holds_the_profile_alone(self, capsys):
        assert run(["new-device", "mine", "--like", "rpi5", "-o", "-"]) == 0
        device = parse_spec(capsys.readouterr().out, Device, "-")
        assert device.memory == load_device("rpi5").memory
        assert run(["new-device", "mine", "--like", "rpi5", "-o", "-", "--json"]) == 0
        told = json.loads(capsys.readouterr().out)
        assert parse_spec(told["text"], Device, "-") == device
        assert not list(Path().iterdir())

    def test_a_pipe_is_written_into(self):
        os.mkfifo("pipe")
        read: list[str] = []
        reader = threading.Thread(target=lambda: read.append(Path("pipe").read_text()))
        reader.start()
        assert run(["new-device", "mine", "-o", "pipe"]) == 0
        reader.join(timeout=60)
        assert parse_spec(read[0], Device, "pipe").name == "mine"

    def test_a_profile_of_ones_own_can_be_copied(self, capsys):
        assert run(["new-device", "one", "--like", "rpi5"]) == 0
        assert run(["new-device", "two", "--like", "one.yaml"]) == 0
        one, two = load_device("one.yaml"), load_device("two.yaml")
        assert one.model_dump(exclude={"name"}) == two.model_dump(exclude={"name"})
        assert "copied from one.yaml" in words(Path("two.yaml").read_text())


class TestSpaceCommand:
    @pytest.mark.parametrize("kind", space_template.KINDS)
    def test_a_template_sweeps(self, kind, capsys):
        assert run(["new-space", "mine", "--kind", kind, "--json"]) == 0
        told = json.loads(capsys.readouterr().out)
        assert told["candidates"] == load_space("mine.yaml").valid_count
        device = "phone" if kind == "dense" else "strix-halo"
        assert run(["sweep", "--device", device, "--space", "mine.yaml", "-o", "run"]) == 0
        assert Path("run/front.csv").is_file()

    def test_it_refuses(self, capsys):
        for given in (["paper-grid"], ["a/b"], ["mine", "--kind", "mo"], ["mine", "--like", "pap"]):
            assert run(["new-space", *given]) == 2
            assert capsys.readouterr().err.count("\n") == 1
        assert not list(Path().iterdir())


class TestSpacesCommand:
    def test_the_list_counts_what_each_holds(self, capsys):
        assert run(["spaces", "--json"]) == 0
        told = {each["name"]: each["candidates"] for each in json.loads(capsys.readouterr().out)}
        assert told == {name: load_space(name).valid_count for name in shipped_spaces()}

    def test_one_is_shown_with_the_words_of_its_values(self, capsys):
        Path("mine.yaml").write_text(SMALL)
        assert run(["spaces", "show", "mine.yaml"]) == 0
        printed = capsys.readouterr().out
        assert re.search(r"│ layers +│ 3 +│ 8, 16, 24 +│ decoder layers", printed)
        assert re.search(r"│ weight_format +│ fixed +│ q4_0 ", printed)
        assert "9 points, of which 9 are candidates." in printed
        assert run(["spaces", "show", "on-devic"]) == 2
        assert "'on-device'" in capsys.readouterr().err
        assert run(["spaces", "--json", "show", "on-device"]) == 2
        assert "behind show" in capsys.readouterr().err


class Part(Spec):
    """A part."""

    size: int
    """How large."""
    flag: bool = False
    """Whether it is."""


class Whole(Spec):
    """A whole."""

    when: str
    """A day."""
    many: tuple[Part, ...] = ()
    """Parts."""
    by_name: dict[str, Part] = {}  # noqa: RUF012
    """Parts by name."""
    words: list[str] = []  # noqa: RUF012
    """Words."""


@pytest.mark.parametrize(
    "hard",
    ["2022-12-05", "1e5", "yes", "no: way", "# not a comment", "a\nb", "'", "~", "", "ü " * 90],
)
def test_any_text_reads_back(hard):
    whole = Whole(
        when=hard, many=(Part(size=1), Part(size=2, flag=True)), by_name={"x": Part(size=3)},
        words=[hard, "b"],
    )  # fmt: skip
    text = Commented(mark=lambda path: "MARK").text(whole, "A heading.\nOf two lines.")
    assert parse_spec(text, Whole, "text") == whole
    assert max(len(line) for line in text.splitlines()) <= 130 or "ü" in hard


def test_a_field_that_is_described_twice_would_be_seen():
    text = Commented().text(Whole(when="x", many=(Part(size=1), Part(size=2))), "")
    assert text.count("How large.") == 1
    assert text.count("Whether it is.") == 1
    assert "#by_name:" in text


def test_a_name_of_a_shipped_thing_is_refused_by_the_functions_too():
    for check, name in (
        (device_template.check_name, "phone"),
        (space_template.check_name, "on-device"),
    ):
        with pytest.raises(SpecError):
            check(name)


def test_no_reader_no_words(tmp_path):
    script = "import sys; from roofline.cli import run; sys.exit(run(sys.argv[1:]))"
    words_ = [sys.executable, "-c", script, "new-device", "mine", "-o", "-"]
    with subprocess.Popen(words_, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
