from pathlib import Path

import pytest

import hardware_specs
from hardware_specs import load_device, shipped_devices
from hardware_specs.device import Device
from spec_files import SpecError, parse_spec

FOLDER = Path(hardware_specs.__file__).parent
ORIN = (FOLDER / "jetson-agx-orin-64.yaml").read_text()

# A profile that gives everything, to be broken one line at a time.
EXAMPLE = """\
name: example
aliases: [sample]
title: A board
kind: jetson
year: 2022
default_processor: gpu
sources:
  technical-brief:
    title: Technical brief
    where: example.org
    date: 2022
  runs:
    title: Published runs
    where: example.org
    date: 2025-08-31
processors:
  gpu:
    type: gpu
    family: nvidia-ampere
    title: 16 SM at 1.3 GHz
    peaks:
      fp32: {value: 5.3 TFLOP/s, density: dense, basis: nominal, source: technical-brief}
      fp16: &half {value: 42.5 TFLOP/s, density: dense, basis: derived, source: technical-brief}
      bf16: *half
    structured_sparsity: {value: 2, basis: nominal, source: technical-brief}
    efficiency:
      compute:
        value: 0.59
        low: 0.37
        high: 0.65
        basis: measured
        source: runs
      memory: {value: 0.78, basis: derived, source: runs}
    kernel_launch: {value: 2 us, basis: derived, source: runs}
    step_overhead: {value: 1 ms, basis: derived, source: runs}
  dla:
    type: npu
    peaks_unknown: Nobody says.
    family: nvidia-dla
    title: Two
memory:
  dram:
    capacity: {value: 64 GiB, basis: nominal, source: technical-brief}
    usable_share: {value: 0.85, basis: prior, source: runs}
    bandwidth: {value: 204.8 GB/s, basis: nominal, source: technical-brief}
    energy_per_byte:
      value: 0.19 nJ/B
      basis: measured
      scope: rail
      source: runs
  on_chip:
    - {name: L2, size: {value: 4 MiB, basis: nominal, source: technical-brief}}
"""

# Every device that published measurements name, by kind.
KINDS = {
    "phone": """
        a13 a15 a16 a17pro a18pro a19pro dimensity-8400 dimensity-9000-plus dimensity-9300
        dimensity-9400 exynos-1280 exynos-2400 sd778g sd8elite sd8elite5 sd8gen1 sd8gen2
        sd8gen3 tensor-g1 tensor-g3 tensor-g4 tensor-g5
    """,
    "jetson": """
        jetson-agx-orin-32 jetson-agx-orin-64 jetson-agx-xavier jetson-nano
        jetson-orin-nano-8 jetson-orin-nano-super jetson-orin-nx-16 jetson-t4000
        jetson-thor-t5000 jetson-xavier-nx
    """,
    "sbc": """
        cix-p1 dragon-q6a dragon-q8b hailo10h iq9075 rk3562 rk3576 rk3588 rpi4 rpi5 rv1126b
        sa8295p spacemit-k1 spacemit-k3
    """,
    "laptop": """
        core-ultra-155h core-ultra-165h core-ultra-200-igpu core-ultra-255h core-ultra-358h
        i5-1235u i5-6200u i7-1165g7 i7-7820hq intel-n100 intel-n150 iris-xe-1185g7
        lunar-lake-258v m1-7 m1-8 m1max-24 m1max-32 m1pro-14 m1pro-16 m2-10 m2-8 m2max-30
        m2max-38 m2pro-16 m2pro-19 m3-10 m3max-30 m3max-40 m3pro-14 m3pro-18 m4-10 m4max-32
        m4max-40 m4pro-16 m4pro-20 m5-10 m5max-32 m5max-40 m5pro-20 meteor-lake-185h
        rtx-3500-ada rtx3050m-6 rtx3070m rtx4050m rtx4070m ryzen-370pro ryzen-7-250
        ryzen-7940hs ryzen-8840u ryzen-ai-340 ryzen-ai-350 ryzen-ai-xdna2 strix-halo
        strix-halo-385 surface-book3 x2elite xelite
    """,
    "desktop": """
        dgx-spark-gb10 i5-9500 i9-13900k m1ultra-48 m1ultra-64 m2ultra-60 m2ultra-76
        m3ultra-60 m3ultra-80 ryzen-5600g ryzen-5900x ryzen-5950x ryzen-7600x ryzen-7950x
        xeon-e5-2650v3
    """,
    "desktop_gpu": """
        arc-a770 arc-b580 arc-b60 arc-b70 gtx1060-6 r9700 rtx-4000-ada rtx-5000-ada
        rtx-6000-ada rtx-a4000 rtx-a6000 rtx-pro-6000 rtx-pro-6000-maxq rtx2080ti rtx3060-12
        rtx3070 rtx3080-10 rtx3080ti rtx3090 rtx3090ti rtx4060 rtx4060ti-8 rtx4070 rtx4070ti
        rtx4070tis rtx4080 rtx4080s rtx4090 rtx5060ti rtx5070 rtx5070ti rtx5080 rtx5090
        rx5700xt rx6700xt rx6800 rx6800xt rx6900xt rx7800xt rx7900xt rx7900xtx rx9060xt
        rx9070 rx9070xt w7900
    """,
    "datacentre": """
        a10 a100-40-sxm a100-80-pcie a100-80-sxm a10g a40 b200 graviton3 h100-pcie h100-sxm
        h20 h200 l4 l40s mi100 mi250x-gcd mi300x mi50 p40 t4 tpu-v5e
    """,
}

# Dense FP16 peak of the main processor (TFLOP/s) and bandwidth (GB/s), entered by hand from the
# makers' documents or worked out from units and clocks, not from the profiles. On GeForce cards
# FP16 accumulates in FP32, a quarter of the FP16 rate that brochures give for sparse weights.
CITED = {
    "jetson-agx-orin-64": (170 / 4, 204.8),  # 170 sparse INT8 TOPS without the DLAs
    "jetson-orin-nano-super": (67 / 4, 102.4),  # 67 sparse
    "jetson-orin-nano-8": (40 / 4, 2133 * 2 * 16e-3),  # 40 sparse
    "jetson-orin-nx-16": (8 * 2048 * 0.918e-3, 102.4),
    "jetson-thor-t5000": (2070 / 8, 273),  # 2070 sparse FP4
    "jetson-agx-xavier": (11, 4266 * 32e-3),
    "jetson-nano": (128 * 4 * 0.9216e-3, 25.6),
    "dgx-spark-gb10": (1000 / 8, 273),  # 1 PFLOP of sparse FP4
    "rpi5": (4 * 32 * 2.4e-3, 4267 * 4e-3),
    "rk3588": (3.0, 4267 * 8e-3),
    "rtx2080ti": (68 * 64 * 2 * 1.545e-3 * 4, 14 * 352 / 8),
    "rtx3060-12": (25.5, 15 * 192 / 8),
    "rtx3070": (40.6, 14 * 256 / 8),
    "rtx3080-10": (59.5, 19 * 320 / 8),
    "rtx3090": (71, 19.5 * 384 / 8),
    "rtx3090ti": (80, 21 * 384 / 8),
    "rtx4070": (58.3, 21 * 192 / 8),
    "rtx4080": (97.5, 22.4 * 256 / 8),
    "rtx4090": (165.2, 21 * 384 / 8),
    "rtx5070": (988 / 16, 28 * 192 / 8),  # 988 sparse FP4 TOPS
    "rtx5070ti": (1406 / 16, 28 * 256 / 8),
    "rtx5080": (1801 / 16, 30 * 256 / 8),
    "rtx5090": (3352 / 16, 28 * 512 / 8),
    "rtx-a6000": (309.7 / 2, 16 * 384 / 8),
    "rtx-6000-ada": (1457 / 4, 20 * 384 / 8),  # 1457 sparse FP8
    "rtx-pro-6000": (4000 / 8, 28 * 512 / 8),  # 4000 sparse FP4
    "t4": (65, 320),
    "a10": (125, 600),
    "a40": (149.7, 696),
    "l4": (242 / 2, 300),  # 242 sparse
    "l40s": (362, 864),
    "a100-80-sxm": (312, 2039),
    "a100-80-pcie": (312, 1935),
    "h100-pcie": (1513 / 2, 2000),  # 1513 sparse
    "h100-sxm": (1979 / 2, 3350),
    "h200": (1979 / 2, 4800),
    "b200": (36000 / 16, 7700),  # 36 PFLOP of sparse FP16 for eight
    "mi300x": (1307.4, 5300),
    "mi250x-gcd": (383 / 2, 3276.8 / 2),
    "rx7900xtx": (96 * 512 * 2.5e-3, 20 * 384 / 8),
    "rx9070xt": (195, 20.1 * 256 / 8),
    "rx6700xt": (40 * 256 * 2.581e-3, 16 * 192 / 8),
    "arc-b580": (233 / 2, 19 * 192 / 8),
    "rx5700xt": (40 * 256 * 1.905e-3, 14 * 256 / 8),
    "rx6800": (60 * 256 * 2.105e-3, 16 * 256 / 8),
    "rx6800xt": (72 * 256 * 2.25e-3, 16 * 256 / 8),
    "rx6900xt": (80 * 256 * 2.25e-3, 16 * 256 / 8),
    "rx7800xt": (60 * 512 * 2.43e-3, 19.5 * 256 / 8),
    "rx7900xt": (84 * 512 * 2.394e-3, 20 * 320 / 8),
    "w7900": (122.6, 864),
    "rx9060xt": (32 * 1024 * 3.13e-3, 20.1 * 128 / 8),
    "mi50": (26.8, 1024),
    "mi100": (184.6, 1228.8),
    "a100-40-sxm": (312, 1555),
    "rtx4060": (30.2, 17 * 128 / 8),
    "ryzen-8840u": (12 * 512 * 2.7e-3, 6400 * 16e-3),
    "strix-halo-385": (32 * 512 * 2.8e-3, 8000 * 32e-3),
    "m1-8": (8 * 256 * 1.278e-3, 4266 * 16e-3),
    "m1max-32": (32 * 256 * 1.278e-3, 6400 * 64e-3),
    "m2-10": (10 * 256 * 1.398e-3, 6400 * 16e-3),
    "m2ultra-76": (76 * 256 * 1.398e-3, 6400 * 128e-3),
    "m4max-40": (18.4, 8533 * 64e-3),
    "a17pro": (6 * 256 * 1.398e-3, 51.2),
    "sd8gen3": (2 * 1536 * 2 * 0.903e-3, 9600 * 8e-3),
    "sd8elite": (2 * 1536 * 2 * 1.1e-3, 10600 * 8e-3),
    "dimensity-9400": (2 * 12 * 256 * 1.612e-3, 10667 * 8e-3),
    "strix-halo": (40 * 512 * 2.9e-3, 8000 * 32e-3),
    "ryzen-370pro": (16 * 512 * 2.9e-3, 7500 * 16e-3),
    "ryzen-7940hs": (12 * 512 * 2.7e-3, 5600 * 16e-3),
    "lunar-lake-258v": (67 / 2, 8533 * 16e-3),
}
# What brochures count in narrower formats, dense.
NARROW = {
    ("rtx4090", "gpu", "int8"): 1321 / 2,
    ("rtx4090", "gpu", "fp16acc"): 330.3,
    ("rtx5090", "gpu", "fp4"): 3352 / 2,
    ("h100-sxm", "gpu", "fp8"): 3958 / 2,
    ("hailo10h", "npu", "int4"): 40,
    ("hailo10h", "npu", "int8"): 20,
    ("xelite", "npu", "int8"): 45,
    ("m4-10", "npu", "int8"): 38,
    ("strix-halo", "npu", "int8"): 50,
    ("jetson-agx-xavier", "dla", "int8"): 10,
    ("tpu-v5e", "npu", "bf16"): 197,
    ("rx9070", "gpu", "int8"): 1156 / 4,  # 1156 sparse INT4
}
MAKERS = (
    "amd apple arm cix google hailo imagination intel mediatek nvidia qualcomm riscv rockchip "
    "samsung spacemit x86"
)


def test_the_library_is_every_device():
    named = [name for names in KINDS.values() for name in names.split()]
    assert len(named) == 184
    assert shipped_devices() == sorted(named)


@pytest.mark.parametrize("kind", KINDS)
def test_kinds(kind):
    assert {load_device(name).kind for name in KINDS[kind].split()} == {kind}


@pytest.mark.parametrize("name", sorted(CITED))
def test_cited_values(name):
    device = load_device(name)
    peak, bandwidth = CITED[name]
    assert device.processor().peak("fp16") / 1e12 == pytest.approx(peak, rel=0.02)
    assert device.memory.dram.bandwidth.value / 1e9 == pytest.approx(bandwidth, rel=0.005)


@pytest.mark.parametrize(("name", "unit", "number_format"), sorted(NARROW))
def test_cited_narrow_peaks(name, unit, number_format):
    peak = load_device(name).processor(unit).peak(number_format)
    assert peak / 1e12 == pytest.approx(NARROW[name, unit, number_format], rel=0.01)


@pytest.mark.parametrize("name", shipped_devices())
def test_shipped_profile(name):
    device = load_device(name)
    assert device.name == name
    assert 0 < device.memory.dram.usable_bytes < device.memory.dram.capacity.value
    for path, figure in device.figures():
        if figure.basis == "prior":
            fitted = {"efficiency", "kernel_launch", "step_overhead"} & set(path)
            assert figure.note or (fitted and figure.low is not None), path
    figures = [figure for _, figure in device.figures()]
    notes = " ".join(figure.note or "" for figure in figures)
    named = {figure.source for figure in figures}
    idle = [key for key in device.sources if key not in named and key not in notes]
    assert not idle, "a source that no number and no note names"
    for source in device.sources.values():
        assert "2014" <= source.date[:4] <= "2026", source
    text = (FOLDER / f"{name}.yaml").read_text()
    assert text.splitlines()[0] == "# yaml-language-server: $schema=device.schema.json"


@pytest.mark.parametrize("name", shipped_devices())
def test_peaks_grow_as_formats_narrow(name):
    """A lower bound is exempt: it says what was reached, not what the hardware does."""
    for processor in load_device(name).processors.values():
        for figure in processor.peaks.values():
            assert figure.density == "dense"
        known = {f: peak for f, peak in processor.peaks.items() if peak.basis != "lower-bound"}
        order = ("fp32", "fp16", "fp16acc", "int8", "int4")
        rates = [known[f].value for f in order if f in known]
        assert rates == sorted(rates), processor.title
        if {"fp16", "bf16"} <= set(known):
            # Alike, but for matrix units made for one of them: CDNA 1 and Neoverse V1.
            assert known["bf16"].value / known["fp16"].value in (0.5, 1.0, 2.0)
        assert not processor.peaks or processor.peaks_unknown is None


@pytest.mark.parametrize("name", shipped_devices())
def test_yaml_round_trip_is_exact(name):
    device = load_device(name)
    assert parse_spec(device.to_yaml(), Device, name) == device


def test_families_are_of_one_type_of_processor():
    """A family of CPUs holds no GPU; a misspelt family stands alone with another's name in it."""
    types: dict[str, set[str]] = {}
    for name in shipped_devices():
        for unit in load_device(name).processors.values():
            types.setdefault(unit.family, set()).add(unit.type)
    assert all(len(found) == 1 for found in types.values()), types
    makers = {family.split("-")[0] for family in types}
    assert sorted(makers) == MAKERS.split()


def test_unknown_peaks():
    chip = load_device("sd8gen2").processor("npu")
    assert not chip.peaks
    with pytest.raises(SpecError) as error:
        chip.peak("int8")
    assert str(error.value) == (
        "device sd8gen2, processor npu: no peak is published: "
        "Qualcomm publishes no rate of this Hexagon"
    )


def test_a_data_sheet_alone_is_a_profile():
    gpu = load_device("rtx5090").processor()
    assert gpu.efficiency is gpu.kernel_launch is gpu.step_overhead is None


def test_views():
    orin = load_device("jetson-agx-orin-64")
    gpu = orin.processor()
    assert gpu is orin.processor("gpu")
    assert gpu.peak("int8") == 85e12
    assert gpu.structured_sparsity_speedup == 2.0
    assert gpu.energy_per_flop_in("fp16") is None
    assert gpu.compute_half_size_flops == gpu.memory_half_size_bytes == 0.0
    assert orin.processor("dla").peak("int8") == 52.5e12
    assert orin.memory.on_chip[0].size.value == 4 * 2**20
    assert orin.power.idle is None
    phone = load_device("phone")
    assert phone.processor("npu").peaks == {}
    assert phone.processor("cpu").structured_sparsity_speedup == 1.0


def test_missing_format_and_processor_name_what_there_is():
    phone = load_device("phone")
    with pytest.raises(SpecError) as error:
        phone.processor("gpu").peak("int8")
    assert str(error.value) == "device sd8elite, processor gpu: no peak for int8; it has fp32, fp16"
    with pytest.raises(SpecError, match="no processor 'gpuu'; nearest is 'gpu'"):
        phone.processor("gpuu")


def test_load_from_any_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert load_device("phone.yaml") == load_device("phone")
    (tmp_path / "mine.yaml").write_text(ORIN)
    assert load_device("mine.yaml").name == "jetson-agx-orin-64"


def test_example_is_valid():
    device = parse_spec(EXAMPLE, Device, "example.yaml")
    efficiency = device.processor().efficiency
    assert efficiency is not None
    assert efficiency.cache_value == efficiency.memory_value("Q4_K") == 0.78
    assert efficiency.compute_value("fp16") == 0.59
    assert device.processor().kernel_launch.value == 2e-6


@pytest.mark.parametrize(
    ("was", "now", "says"),
    [
        (
            "    peaks:\n      fp32",
            "    peak:\n      fp32",
            "processors.gpu.peak: unknown key; nearest is 'peaks'",
        ),
        (
            "fp16: &half",
            "fp61: &half",
            "processors.gpu.peaks.fp61: unknown value 'fp61'; nearest is 'fp16'",
        ),
        ("value: 5.3 TFLOP/s", "value: 5.3", "processors.gpu.peaks.fp32.value: '5.3' has no unit"),
        (
            "value: 5.3 TFLOP/s",
            "value: 5.3 TB/s",
            "fp32.value: '5.3 TB/s' is a quantity of bandwidth, not of compute",
        ),
        ("value: 5.3 TFLOP/s", "value: 0 TFLOP/s", "fp32.value: 0 is not possible here"),
        ("value: 5.3 TFLOP/s", "value: -5.3 TFLOP/s", "fp32.value: '-5.3 TFLOP/s' is negative"),
        (
            "5.3 TFLOP/s, density: dense",
            "5.3 TFLOP/s, density: sparse",
            "fp32.density: a sparse peak",
        ),
        (
            "5.3 TFLOP/s, density: dense,",
            "5.3 TFLOP/s,",
            "processors.gpu.peaks.fp32.density: missing",
        ),
        (
            "density: dense, basis: nominal, source: technical-brief}",
            "density: dense, basis: nominal}",
            "processors.gpu.peaks.fp32.source: missing",
        ),
        (
            "basis: nominal, source: technical-brief}",
            "basis: nominal, source: techncal-brief}",
            "fp32.source: no source 'techncal-brief'; nearest is 'technical-brief'",
        ),
        (
            "basis: nominal",
            "basis: nominl",
            "fp32.basis: unknown value 'nominl'; nearest is 'nominal'",
        ),
        ("        value: 0.59", "        value: 1.59", "efficiency.compute"),
        ("        high: 0.65", "        high: 1.65", "compute.high: 1.65 is more than 1"),
        ("        low: 0.37", "        low: 0.6", "compute.low: low 0.6 is above 0.59"),
        ("        high: 0.65", "        high: 0.5", "compute.high: high 0.5 is below 0.59"),
        ("        value: 0.59", "        value: 0", "processors.gpu.efficiency.compute"),
        (
            "default_processor: gpu",
            "default_processor: gpy",
            "default_processor: no processor 'gpy'; nearest is 'gpu'",
        ),
        ("kind: jetson", "kind: jeston", "kind: unknown value 'jeston'; nearest is 'jetson'"),
        (
            "date: 2022\n",
            "date: last year\n",
            "sources.technical-brief.date: 'last year' is not a date",
        ),
        ("\n      scope: rail\n", "\n", "energy_per_byte.scope: missing"),
        ("value: 4 MiB", "value: 65 GiB", "memory.on_chip[0].size.value: L2 is larger than DRAM"),
        (
            "structured_sparsity: {value: 2",
            "structured_sparsity: {value: 0.5",
            "structured_sparsity.value: a speed-up of 0.5",
        ),
        (
            "    energy_per_byte:",
            "    measured_bandwidth: {value: 300 GB/s, basis: measured, source: runs}\n"
            "    energy_per_byte:",
            "measured_bandwidth.value: measured 300 GB/s (measured) is above",
        ),
        ("year: 2022", "year: soon", "year: read 'soon'"),
        ("    family: nvidia-dla\n", "", "processors.dla.family: missing"),
        ("family: nvidia-dla", "family: NVIDIA DLA", "processors.dla.family: read 'NVIDIA DLA'"),
        (
            "    peaks_unknown: Nobody says.\n",
            "",
            "processors.dla: no peak: give at least one, or say why in peaks_unknown",
        ),
        (
            "    structured_sparsity:",
            "    peaks_unknown: Nobody says.\n    structured_sparsity:",
            "processors.gpu.peaks_unknown: there are peaks, so none is unknown",
        ),
        ("aliases: [sample]", "aliases: [A Sample]", "aliases[0]: read 'A Sample'"),
    ],
)
def test_bad_profile_gives_one_sentence_with_line_and_field(was, now, says):
    assert was in EXAMPLE
    text = EXAMPLE.replace(was, now, 1)
    with pytest.raises(SpecError) as error:
        parse_spec(text, Device, "example.yaml")
    sentence = str(error.value)
    name, line, _ = sentence.split(":", 2)
    assert name == "example.yaml"
    edited = EXAMPLE[: EXAMPLE.index(was)].count("\n") + 1
    assert abs(int(line) - edited) <= 3
    assert says in sentence
    assert "more error" not in sentence
    assert "\n" not in sentence
    assert sentence.endswith(".")


def test_devices_are_frozen():
    device = load_device("phone")
    with pytest.raises(ValueError, match="frozen"):
        device.name = "other"
