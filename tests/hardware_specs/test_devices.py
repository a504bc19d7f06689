from pathlib import Path

import pytest

import hardware_specs
from hardware_specs import load_device, shipped_devices
from hardware_specs.device import Device
from spec_files import SpecError, parse_spec

FOLDER = Path(hardware_specs.__file__).parent
ORIN = (FOLDER / "jetson-agx-orin-64gb.yaml").read_text()

# Dense peaks (TFLOP/s or TOP/s) and bandwidth (GB/s) entered by hand from the makers' documents,
# not from the profiles: A100 data sheet 312 / 624 / 2039; AGX Orin 170 sparse INT8 TOPS / 4;
# Orin Nano Super 67 sparse / 4; Ada white paper 165.2 accumulating in FP32, 21 Gbit/s x 384 / 8;
# BCM2712: 4 cores x 2.4 GHz x 32 = 307 GFLOP/s, 4267 MT/s x 4 B = 17.1; Adreno 830: 2 x 3.38;
# LPDDR5X-10600 x 8 B = 84.8; M4 Max: 18.4, 8533 MT/s x 64 B = 546.
CITED = {
    "a100-80gb": (312.0, 2039.0),
    "apple-m4-max": (18.4, 546.0),
    "jetson-agx-orin-64gb": (170 / 4, 204.8),
    "jetson-orin-nano-super": (67 / 4, 102.4),
    "phone": (2 * 1536 * 2 * 1.1e-3, 84.8),
    "raspberry-pi-5": (4 * 2.4e-3 * 32, 17.068),
    "rtx-4090": (165.2, 1008.0),
}


def test_cited_values_cover_the_library():
    assert shipped_devices() == sorted(CITED)


@pytest.mark.parametrize("name", sorted(CITED))
def test_shipped_profile(name):
    device = load_device(name)
    peak, bandwidth = CITED[name]
    assert device.name == name
    assert device.processor().peak("fp16") / 1e12 == pytest.approx(peak, rel=0.01)
    assert device.memory.dram.bandwidth.value / 1e9 == pytest.approx(bandwidth, rel=0.005)
    assert 0 < device.memory.dram.usable_bytes < device.memory.dram.capacity.value
    for path, figure in device.figures():
        assert device.sources[figure.source].date >= "2020", path
        if figure.basis == "prior":
            assert figure.note or figure.low is not None, path
    named = {figure.source for _, figure in device.figures()}
    notes = " ".join(figure.note or "" for _, figure in device.figures())
    idle = [key for key in device.sources if key not in named and key not in notes]
    assert not idle, "a source that no number and no note names"
    for processor in device.processors.values():
        for figure in processor.peaks.values():
            assert figure.density == "dense"
    energy = device.memory.dram.energy_per_byte or device.power.active
    assert energy is not None
    first = (FOLDER / f"{name}.yaml").read_text().splitlines()[0]
    assert first == "# yaml-language-server: $schema=device.schema.json"


@pytest.mark.parametrize("name", sorted(CITED))
def test_yaml_round_trip_is_exact(name):
    device = load_device(name)
    assert parse_spec(device.to_yaml(), Device, name) == device


def test_views():
    orin = load_device("jetson-agx-orin-64gb")
    gpu = orin.processor()
    assert gpu is orin.processor("gpu")
    assert gpu.peak("int8") == 85e12
    assert gpu.structured_sparsity_speedup == 2.0
    assert gpu.efficiency.cache_value == 0.68
    assert gpu.kernel_launch.value == 2e-6
    assert gpu.energy_per_flop_in("fp16") == 1.6e-12
    assert gpu.energy_per_flop_in("int8") is None
    assert gpu.compute_half_size_flops == gpu.memory_half_size_bytes == 0.0
    assert orin.processor("dla").peak("int8") == 52.5e12
    assert orin.memory.on_chip[0].size.value == 4 * 2**20
    assert orin.power.idle is None
    phone = load_device("phone")
    assert phone.processor("npu").peaks["int8"].basis == "lower-bound"
    assert (
        phone.processor("npu").efficiency.cache_value
        == phone.processor("npu").efficiency.memory.value
    )
    assert phone.processor("cpu").structured_sparsity_speedup == 1.0


def test_missing_format_and_processor_name_what_there_is():
    phone = load_device("phone")
    with pytest.raises(SpecError) as error:
        phone.processor("gpu").peak("int8")
    assert str(error.value) == "device phone, processor gpu: no peak for int8; it has fp32, fp16"
    with pytest.raises(SpecError, match="no processor 'gpuu'; nearest is 'gpu'"):
        phone.processor("gpuu")


def test_load_from_any_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert load_device("phone.yaml") == load_device("phone")
    (tmp_path / "mine.yaml").write_text(ORIN)
    assert load_device("mine.yaml").name == "jetson-agx-orin-64gb"
    with pytest.raises(SpecError, match="nearest is 'raspberry-pi-5'"):
        load_device("rasberry-pi-5")


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
            "    measured_bandwidth: {value: 300 GB/s, basis: measured, source: edgereasoning}\n"
            "    energy_per_byte:",
            "measured_bandwidth.value: measured 300 GB/s (measured) is above",
        ),
        ("year: 2022", "year: soon", "year: read 'soon'"),
    ],
)
def test_bad_profile_gives_one_sentence_with_line_and_field(was, now, says):
    assert was in ORIN
    text = ORIN.replace(was, now, 1)
    with pytest.raises(SpecError) as error:
        parse_spec(text, Device, "orin.yaml")
    sentence = str(error.value)
    name, line, _ = sentence.split(":", 2)
    assert name == "orin.yaml"
    edited = ORIN[: ORIN.index(was)].count("\n") + 1
    assert abs(int(line) - edited) <= 3
    assert says in sentence
    assert "more error" not in sentence
    assert "\n" not in sentence
    assert sentence.endswith(".")


def test_devices_are_frozen():
    device = load_device("phone")
    with pytest.raises(ValueError, match="frozen"):
        device.name = "other"
