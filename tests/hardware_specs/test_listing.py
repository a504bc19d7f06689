"""`roofline devices`: what the filters keep, held against loops over the profiles."""

import json

import pytest

from hardware_specs import load_device, shipped_devices
from roofline.cli import run

PROFILES = [load_device(name) for name in shipped_devices()]


def listed(capsys, *options):
    assert run(["devices", "--json", *options]) == 0
    return [row["name"] for row in json.loads(capsys.readouterr().out)]


def names(keep):
    return [p.name for p in PROFILES if keep(p)]


def families(p):
    return {unit.family for unit in p.processors.values()}


FILTERS = {
    "kind": (["--kind", "desktop_gpu"], lambda p: p.kind == "desktop_gpu"),
    "maker": (["--vendor", "nvidia"], lambda p: any("nvidia" in f for f in families(p))),
    "line": (["--vendor", "amd-rdna3"], lambda p: "amd-rdna3" in families(p)),
    "type": (["--processor", "npu"], lambda p: any(u.type == "npu" for u in p.processors.values())),
    "memory": (["--min-memory", "64 GiB"], lambda p: p.memory.dram.capacity.value >= 2**36),
    "speed": (["--min-bandwidth", "1TB/s"], lambda p: p.memory.dram.bandwidth.value >= 1e12),
}


@pytest.mark.parametrize("options", FILTERS)
def test_one_filter(options, capsys):
    arguments, keep = FILTERS[options]
    found = listed(capsys, *arguments)
    assert found == names(keep)
    assert 0 < len(found) < len(PROFILES)


def test_filters_combine(capsys):
    arguments = [part for key in ("maker", "memory", "speed") for part in FILTERS[key][0]]
    found = listed(capsys, *arguments)
    assert found == names(lambda p: all(FILTERS[key][1](p) for key in ("maker", "memory", "speed")))
    assert "h200" in found
    # of one processor, not of two: the Orin has an NPU, and the CPU is not NVIDIA's
    assert "jetson-agx-orin-64" in listed(capsys, "--vendor", "nvidia", "--processor", "npu")
    assert "jetson-agx-orin-64" not in listed(capsys, "--vendor", "nvidia", "--processor", "cpu")


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("raspberry pi 5", "rpi5"),
        ("RTX 4090", "rtx4090"),
        ("phone", "sd8elite"),
        ("xmx", "meteor-lake-185h"),
        ("strix-point", "ryzen-370pro"),
    ],
)
def test_search_in_names_aliases_and_titles(text, name, capsys):
    found = listed(capsys, "--search", text)
    assert name in found
    assert len(found) < 30


def test_nothing_left_is_an_empty_list(capsys):
    assert listed(capsys, "--kind", "phone", "--min-bandwidth", "1 TB/s") == []


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--kind", "desktopgpu"], "--kind: no device of kind 'desktopgpu'; nearest is"),
        (["--vendor", "nvdia"], "--vendor: no processor of 'nvdia'; nearest is 'nvidia'"),
        (["--vendor", "nvidia-adda"], "nearest is 'nvidia-ada'"),
        (["--processor", "gppu"], "--processor: no processor of type 'gppu'; nearest is 'gpu'"),
        (["--search", "snapdargon"], "nothing says 'snapdargon'; nearest is 'snapdragon'"),
        (["--min-memory", "8"], "--min-memory: '8' has no unit"),
        (["--min-bandwidth", "8 GB"], "--min-bandwidth: '8 GB' is a quantity of bytes"),
    ],
)
def test_unknown_values_are_one_sentence(options, says, capsys):
    assert run(["devices", *options]) == 2
    told = capsys.readouterr()
    assert says in told.err
    assert told.err.count("\n") == 1
    assert not told.out


def test_a_filter_before_show_is_refused(capsys):
    assert run(["devices", "--vendor", "apple", "show", "rpi5"]) == 2
    assert "behind show" in capsys.readouterr().err


def test_table_is_one_line_a_device_at_100_columns(capsys, monkeypatch):
    from rich.console import Console

    from roofline.cli import show

    monkeypatch.setattr(show, "console", lambda error=False: Console(stderr=error, width=100))
    assert run(["devices"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 100
    body = [line for line in lines if line.startswith("│")]
    assert [line.split()[1] for line in body] == shipped_devices()


@pytest.mark.parametrize("name", ["m5-10", "rtx5090", "sd8elite", "core-ultra-200-igpu"])
def test_show_reads_well_without_efficiencies(name, capsys):
    assert run(["devices", "show", name]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    device = load_device(name)
    for source in device.sources.values():
        assert f"({source.date})" in printed
    for unit in device.processors.values():
        assert unit.family in printed
        assert unit.peaks_unknown is None or "has no known peak" in printed
    assert "None" not in printed
