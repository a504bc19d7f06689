"""The probe: known curves are recovered, noise spoils no profile, nothing is overwritten."""

import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from hardware_specs import load_device
from roofline.cli import run
from roofline.probe import Sample, bandwidth, fitting, machine, overhead, plan, to_device
from roofline.probe.library import NumpyLibrary
from roofline.probe.machine import Cache, Machine
from roofline.probe.profile import Identity, slug
from roofline.probe.sampling import LEAST, repeat, timed
from spec_files import SpecError, parse_spec

KIB, MIB = 1024, 2**20


class Ticker:
    """A clock that moves on only when work does."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now

    def work(self, *seconds):
        """Work that takes these seconds in turn, the last for ever."""
        left = list(seconds)

        def run():
            self.now += left.pop(0) if len(left) > 1 else left[0]

        return run


class TestSampling:
    def test_warm_up_is_not_counted_and_the_median_is_deaf_to_one_repeat(self):
        seconds = iter([9.0, 1.0, 1.1, 50.0, 0.9, 1.0])
        found = repeat(lambda: next(seconds), budget=0.0)
        assert found.repeats == LEAST
        assert (found.low, found.seconds, found.high) == (1.0, 1.0, 1.1)

    def test_the_budget_is_spent_on_repeats(self):
        clock = Ticker()
        assert timed(clock.work(5.0, 0.01), 0.2, clock).repeats == pytest.approx(20, abs=1)

    def test_short_work_is_timed_many_calls_at_once(self):
        clock = Ticker()
        start = clock.now
        found = timed(clock.work(1e-6), 0.0, clock)
        assert found.seconds == pytest.approx(1e-6)
        assert clock.now - start > LEAST * 15e-6


class TestFitting:
    def test_a_half_size_and_two_rates_are_recovered(self):
        half, rates = 3e6, (2e11, 9e11)
        sizes = np.geomspace(1e5, 1e10, 9)
        groups = [(sizes, (sizes + half) / r) for r in rates]
        found, reached = fitting.fit_half_size(groups, [1e13, 1e13])
        assert found == pytest.approx(half, rel=0.02)
        assert reached == pytest.approx(rates, rel=0.02)

    def test_no_half_size_where_time_is_proportional(self):
        sizes = np.geomspace(1e5, 1e10, 9)
        assert fitting.fit_half_size([(sizes, sizes / 1e11)], [1e13]) == (
            0.0,
            [pytest.approx(1e11)],
        )

    def test_no_rate_is_above_its_peak(self):
        sizes = np.geomspace(1e5, 1e10, 9)
        _, rates = fitting.fit_half_size([(sizes, sizes / 1e11)], [8e10])
        assert rates == [8e10]
        half, _ = fitting.fit_half_size([(sizes, (sizes + 3e6) / 2e11)], [1e11])
        assert half < 2e6, "beside a lower rate, less is left for the half size to explain"

    def test_a_line_is_found_though_a_point_went_wrong(self):
        slope, fixed = fitting.fit_line([1, 2, 4, 8, 16], [8, 13, 23, 430, 83])
        assert (slope, fixed) == (5, 3)

    def test_neither_end_of_a_line_is_negative(self):
        assert fitting.fit_line([1, 2, 4], [3, 2, 1]) == (0, 2)
        assert fitting.fit_line([1, 2, 4], [1, 3, 7])[1] == 0


def curve(levels, dram, operation="read", threads=1):
    """Samples of a memory whose levels, (reachable size, bandwidth), are known."""

    def speed(size):
        return next((s for reach, s in levels if size <= reach), dram)

    return [
        sample(operation, size=size, bytes=size, seconds=size / speed(size), threads=threads)
        for size in bandwidth.sizes(256 * MIB, threads)
    ]


def sample(operation, *, seconds, size=1.0, flops=0.0, bytes=0.0, threads=1, **more):
    return Sample(
        operation, more.pop("number_format", "fp32"), threads, float(size), float(flops),
        float(bytes), seconds, 0.95 * seconds, 1.1 * seconds, 9, "torch, made up", **more,
    )  # fmt: skip


class TestBandwidth:
    def test_plateaus_are_recovered(self):
        levels = [(48 * KIB, 200e9), (2 * MIB, 90e9), (32 * MIB, 30e9)]
        samples = curve(levels, 12e9)
        found = bandwidth.plateaus([s.size for s in samples], [s.bandwidth for s in samples])
        assert [speed for _, speed in found] == pytest.approx([200e9, 90e9, 30e9, 12e9])
        for (size, _), (known, _) in zip(found, levels, strict=False):
            assert known / 2 <= size <= known

    def test_a_dip_is_no_level(self):
        found = bandwidth.plateaus([1, 2, 4, 8, 16, 32], [100, 20, 100, 100, 10, 10])
        assert found == [(8, 100), (32, 10)]

    def test_sizes_reach_the_largest(self):
        sizes = bandwidth.sizes(256 * MIB, 4)
        assert sizes[0] == 4 * bandwidth.SMALLEST
        assert sizes[-1] == 256 * MIB
        assert all(1.8 < b / a < 2.1 for a, b in pairwise(sizes))

    @pytest.mark.parametrize("threads", [1, 2])
    def test_a_copy_counts_what_it_reads_and_what_it_writes(self, threads):
        (found,) = bandwidth.measure_bandwidth("copy", [256 * KIB], threads, 0.0)
        assert found.bytes == found.size == 256 * KIB
        part = np.arange(64, dtype=np.int32)
        bandwidth._copy(part, 3)()
        assert (part == np.tile(np.arange(32), 2)).all()

    def test_a_read_sees_every_number_of_every_round(self):
        part = np.ones(1000, np.int32)
        for place in (0, 499, 999):
            part[:] = 1
            part[place] = 7
            assert (bandwidth._read(part, 3)() == [7, 7, 7]).all()


MACHINE = Machine(
    title="Made-up CPU @ 3 GHz",
    family="x86-cpu",
    kind="laptop",
    cores=2,
    memory=16 * 2**30,
    free=12 * 2**30,
    caches=(Cache("L1", 48 * KIB, 2), Cache("L2", 2 * MIB, 2), Cache("L3", 32 * MIB, 1)),
    system="Linux 6",
)
IDENTITY = Identity("mine", "Made-up CPU", "laptop", "2026-11-21", "PyTorch 2", "Linux 6")
CALL, HALF, READ_HALF, DRAM = 2e-6, 5e6, 1e5, 40e9


def samples():
    """What a computer of known speeds would have measured."""
    found = [
        *curve([(48 * KIB, 200e9), (2 * MIB, 90e9), (32 * MIB, 50e9)], 20e9),
        *curve([(96 * KIB, 390e9), (4 * MIB, 170e9), (32 * MIB, 70e9)], DRAM, threads=2),
        *curve([(96 * KIB, 80e9), (4 * MIB, 60e9)], 30e9, "copy", threads=2),
    ]
    for name, peak, share in (("fp32", 2e11, 0.8), ("bf16", 1e12, 0.5), ("fp16", 1e11, 0.9)):
        found.append(
            sample("product", flops=1e9, seconds=1e9 / peak, number_format=name, threads=2)
        )
        for flops in np.geomspace(1e6, 1e9, 6):
            seconds = CALL + (flops + HALF) / (share * peak)
            found.append(
                sample("layer product", flops=flops, seconds=seconds, number_format=name, threads=2)
            )
        for moved in np.geomspace(1e4, 1e8, 6):
            seconds = CALL + (moved + READ_HALF) / (0.7 * DRAM)
            found.append(
                sample(
                    "vector product", bytes=moved, seconds=seconds, number_format=name,
                    size=256 * MIB, threads=2,
                )
            )  # fmt: skip
    for flops in (1e8, 1e9):
        seconds = CALL + (flops + HALF) / (0.3 * 2e11)
        found.append(sample("attention", flops=flops, seconds=seconds, threads=2))
    for group in (1, 4):
        for moved in (4e6, 2e7):
            seconds = CALL + READ_HALF / (0.7 * DRAM) + moved * group**0.5 / (0.5 * DRAM)
            found.append(sample("cache", bytes=moved, seconds=seconds, threads=2, group=group))
    found.append(sample("call", seconds=CALL, threads=2))
    found += [
        sample("layers", size=n, seconds=1e-4 + 3 * 4e-6 + n * 9 * 4e-6, threads=2)
        for n in (1, 2, 4, 8)
    ]
    return found


class TestProfile:
    def test_known_speeds_are_recovered(self):
        device = to_device(MACHINE, samples(), 2, IDENTITY)
        unit, dram = device.processor(), device.memory.dram
        assert dram.bandwidth.value == pytest.approx(DRAM)
        assert (dram.bandwidth.low, dram.bandwidth.high) == pytest.approx(
            (DRAM / 1.1, DRAM / 0.95), rel=1e-3
        )
        assert {n: p.value for n, p in unit.peaks.items()} == {
            "fp32": 2e11, "bf16": 1e12, "fp16": 1e11,
        }  # fmt: skip
        e = unit.efficiency
        assert e.compute.value == pytest.approx(0.8, rel=0.01)
        assert e.compute_in["16-bit"].value == pytest.approx(0.5, rel=0.01)
        assert e.attention.value == pytest.approx(0.3, rel=0.01)
        assert e.memory.value == pytest.approx(0.7, rel=0.01)
        assert e.memory_in["16-bit"].value == pytest.approx(0.7, rel=0.01)
        assert e.cache.value == pytest.approx(0.5, rel=0.01)
        assert e.cache_repeats.value == pytest.approx(0.5, rel=0.01)
        assert unit.compute_half_size.value == pytest.approx(HALF, rel=0.03)
        assert unit.memory_half_size.value == pytest.approx(READ_HALF, rel=0.03)
        assert unit.kernel_launch.value == pytest.approx(4e-6)
        assert unit.step_overhead.value == pytest.approx(1e-4)
        levels = {v.name: (v.size.value, v.bandwidth.value) for v in device.memory.on_chip}
        assert levels == {
            "L3": (32 * MIB, 70e9), "L2": (4 * MIB, 170e9), "L1": (96 * KIB, 390e9),
        }  # fmt: skip

    def test_every_number_says_how_it_was_measured(self):
        device = to_device(MACHINE, samples(), 2, IDENTITY)
        for path, figure in device.figures():
            assert figure.source == "probe"
            assert figure.note, path
        assert "2026-11-21" in device.sources["probe"].date
        assert "working set" in device.memory.dram.bandwidth.note

    def test_the_fastest_sixteen_bits_stand_for_both(self):
        arm = [
            replace(s, number_format={"bf16": "fp16", "fp16": "bf16"}.get(s.number_format, "fp32"))
            for s in samples()
        ]
        assert to_device(MACHINE, arm, 2, IDENTITY).processor().efficiency.compute_in[
            "16-bit"
        ].value == pytest.approx(0.5, rel=0.01)

    def test_a_cache_that_others_share_is_as_large_as_it_shows(self):
        host = replace(MACHINE, caches=(*MACHINE.caches[:2], Cache("L3", 512 * MIB, 1)))
        level = to_device(host, samples(), 2, IDENTITY).memory.on_chip[0]
        assert 16 * MIB <= level.size.value <= 32 * MIB
        assert level.size.basis == "measured"
        assert "536.9 MB" in level.size.note

    def test_one_thread_reaches_its_own_caches_alone(self):
        alone = [replace(s, threads=1) for s in samples() if s.threads == 2]
        levels = to_device(MACHINE, alone, 1, IDENTITY).memory.on_chip
        assert [v.size.value for v in levels] == [32 * MIB, 2 * MIB, 48 * KIB]

    def test_a_level_no_faster_than_the_one_outside_has_no_bandwidth(self):
        slow = [
            replace(s, seconds=3 * s.seconds) if s.size < 100 * KIB and s.operation == "read" else s
            for s in samples()
        ]
        levels = to_device(MACHINE, slow, 2, IDENTITY).memory.on_chip
        assert [v.bandwidth is None for v in levels] == [False, False, True]
        assert "Not measured faster" in levels[-1].size.note

    def test_inner_caches_that_are_larger_together_are_cut_to_the_outer(self):
        server = replace(
            MACHINE,
            caches=(*MACHINE.caches[:1], Cache("L2", 20 * MIB, 2), Cache("L3", 32 * MIB, 1)),
        )
        levels = to_device(server, samples(), 2, IDENTITY).memory.on_chip
        assert [v.size.value for v in levels] == [32 * MIB, 32 * MIB, 96 * KIB]

    def test_a_small_matrix_is_no_measure_of_the_memory(self):
        small = sample(
            "vector product", bytes=5e5, seconds=5e5 / (3 * DRAM), size=256 * MIB, threads=2
        )
        device = to_device(MACHINE, [*samples(), small], 2, IDENTITY)
        assert device.memory.dram.bandwidth.value == pytest.approx(DRAM)

    def test_levels_come_from_the_curve_where_the_system_is_silent(self):
        silent = replace(MACHINE, caches=())
        device = to_device(silent, samples(), 2, IDENTITY)
        assert len(device.memory.on_chip) == 3
        assert device.memory.dram.bandwidth.value == pytest.approx(DRAM)

    @pytest.mark.parametrize("seed", range(25))
    def test_noise_writes_no_invalid_profile(self, seed):
        draw = np.random.default_rng(seed)
        noisy = []
        for s in samples():
            low, middle, high = np.sort(s.seconds * draw.lognormal(0, 1, 3))
            noisy.append(replace(s, low=low, seconds=middle, high=high))
        device = to_device(MACHINE, noisy, 2, IDENTITY)
        Path("noisy.yaml").write_text(device.to_yaml())
        assert load_device("noisy.yaml") == device

    @pytest.mark.parametrize("missing", ["read", "layer product", "vector product", "layers"])
    def test_what_was_not_measured_is_named(self, missing):
        rest = [s for s in samples() if s.operation != missing]
        with pytest.raises(SpecError, match=missing):
            to_device(MACHINE, rest, 2, IDENTITY)

    @pytest.mark.parametrize(
        ("title", "name"),
        [
            ("Intel(R) Xeon(R) CPU @ 2.20GHz", "intel-xeon"),
            ("AMD Ryzen 7 5800X 8-Core Processor", "amd-ryzen-7-5800x-8-core"),
            ("Apple M2 Pro", "apple-m2-pro"),
            ("骁龙", "this-computer"),
        ],
    )
    def test_names_of_processors(self, title, name):
        assert slug(title) == name


@pytest.fixture(autouse=True)
def _empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_a_layer_has_as_many_kernels_as_an_estimate_counts():
    from arch_space import Architectures
    from arch_space.tensors import tensors
    from roofline.operators import OPERATORS
    from roofline.workload import Workload

    def kernels(layers):
        arch = Architectures.checked(
            layers=layers, width=64, query_heads=4, kv_heads=4, head_size=16, ffn_width=128,
            vocabulary=16,
        ).as_float()  # fmt: skip
        step, inventory = Workload().decode(16), tensors(arch)
        return sum(
            float((o.cost(arch, inventory, step).launches * o.copies(arch))[0])
            for o in OPERATORS
            if np.any(o.copies(arch) > 0)
        )

    assert kernels(5) - kernels(4) == overhead.LAYER_KERNELS
    assert kernels(4) - 4 * overhead.LAYER_KERNELS == overhead.OUTER_KERNELS


class TestMachine:
    def test_caches_of_linux(self, tmp_path, monkeypatch):
        monkeypatch.setattr(machine, "_allowed", lambda: {0, 1, 2, 3})
        rows = [("1", "Data", "32K", 2), ("1", "Instruction", "64K", 2), ("2", "Unified", "1M", 2),
                ("3", "Unified", "8M", 4)]  # fmt: skip
        for core in range(4):
            for i, (level, kind, size, sharing) in enumerate(rows):
                folder = tmp_path / f"sys/devices/system/cpu/cpu{core}/cache/index{i}"
                folder.mkdir(parents=True)
                first = core // sharing * sharing
                shared = f"{first}-{first + sharing - 1}"
                for name, text in (("level", level), ("type", kind), ("size", size),
                                   ("shared_cpu_list", shared)):  # fmt: skip
                    (folder / name).write_text(f"{text}\n")
        assert machine.caches(tmp_path) == (
            Cache("L1", 32 * KIB, 2), Cache("L2", MIB, 2), Cache("L3", 8 * MIB, 1),
        )  # fmt: skip

    def test_a_silent_system_is_no_error(self, tmp_path):
        found = machine.this_machine(tmp_path)
        assert found.caches == ()
        assert found.cores >= 1
        assert 0 < found.free <= found.memory

    def test_kinds(self, tmp_path):
        assert machine.kind(tmp_path, "", "Raspberry Pi 5 Model B", 4) == "sbc"
        assert machine.kind(tmp_path, "", "NVIDIA Jetson AGX Orin", 12) == "jetson"
        assert machine.kind(tmp_path, "model name : Core i5", "", 6) == "desktop"
        assert machine.kind(tmp_path, "model name : AMD EPYC 7763", "", 8) == "datacentre"
        battery = tmp_path / "sys/class/power_supply/BAT0/type"
        battery.parent.mkdir(parents=True)
        battery.write_text("Battery\n")
        assert machine.kind(tmp_path, "", "", 8) == "laptop"

    def test_families(self):
        assert machine.family("x86_64") == "x86-cpu"
        assert machine.family("aarch64", "CPU implementer\t: 0x41\n") == "arm-cortex"
        oryon = "CPU implementer\t: 0x51\nCPU part\t: 0x001\n"
        assert machine.family("aarch64", oryon) == "qualcomm-oryon"
        assert machine.family("arm64", apple=True) == "apple-cpu"
        assert machine.family("riscv64") == "riscv-cpu"


class TestCommand:
    @pytest.fixture
    def unmeasured(self, monkeypatch):
        def refuse(*arguments):
            raise AssertionError("a refusal comes before the measuring")

        monkeypatch.setattr("roofline.probe.measure", refuse)

    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            (["-o", "here.yaml"], ["here.yaml", "--force"]),
            (["-o", "nowhere/here.yaml"], ["nowhere", "No such file"]),
            (["-o", "folder"], ["folder"]),
            (["-o", "x" * 300], ["too long"]),
            (["-o", "a.yaml", "--curves", "here.yaml"], ["here.yaml", "--force"]),
            (["-o", "a.yaml", "--curves", "a.yaml"], ["same file"]),
            (["-o", "a.yaml", "--processor", "gpu"], ["gpu", "cpu"]),
            (["-o", "a.yaml", "--kind", "labtop"], ["labtop", "laptop"]),
            (["-o", "a.yaml", "--name", "My CPU"], ["My CPU", "my"]),
            (["-o", "a.yaml", "--threads", "0"], ["--threads"]),
            ([], ["--out"]),
        ],
    )
    @pytest.mark.usefixtures("unmeasured")
    def test_bad_options_are_refused_at_once(self, capsys, arguments, words):
        Path("here.yaml").write_text("dear diary")
        Path("folder").mkdir()
        assert run(["probe", *arguments]) == 2
        printed = capsys.readouterr()
        assert printed.out == ""
        assert printed.err.strip().count("\n") == 0
        assert all(word in printed.err for word in words), printed.err
        assert Path("here.yaml").read_text() == "dear diary"
        assert sorted(p.name for p in Path().iterdir()) == ["folder", "here.yaml"]

    def test_force_overwrites_whole(self):
        from roofline.outputs import check_file, write_text

        Path("here.yaml").write_text("dear diary")
        check_file(Path("here.yaml"), force=True)
        assert Path("here.yaml").read_text() == "dear diary"
        with pytest.raises(UnicodeEncodeError):
            write_text(Path("here.yaml"), "half a file \udc80")
        assert Path("here.yaml").read_text() == "dear diary"
        write_text(Path("here.yaml"), "name: here")
        assert [(p.name, p.read_text()) for p in Path().iterdir()] == [("here.yaml", "name: here")]

    def test_an_interrupt_leaves_nothing(self, monkeypatch):
        def interrupt(*arguments):
            raise KeyboardInterrupt

        monkeypatch.setattr("roofline.probe.measure", interrupt)
        assert run(["probe", "-o", "here.yaml", "--curves", "c.csv"]) == 130
        assert list(Path().iterdir()) == []

    def test_numpy_alone_cannot_choose_its_threads(self, monkeypatch):
        monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
        monkeypatch.delenv("OPENBLAS_NUM_THREADS", raising=False)
        monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
        with pytest.raises(SpecError, match="OMP_NUM_THREADS=1"):
            plan(MACHINE, 1, library=NumpyLibrary())
        monkeypatch.setenv("OMP_NUM_THREADS", "1")
        assert plan(MACHINE, 1, library=NumpyLibrary()).threads == 1

    def test_this_computer(self, capsys):
        command = ["probe", "-o", "here.yaml", "--quick", "--threads", "1", "--curves", "c.csv",
                   "--json", "--name", "here"]  # fmt: skip
        assert run(command) == 0
        printed = json.loads(capsys.readouterr().out)
        device = load_device("here.yaml")
        assert device.name == "here"
        text = json.dumps(printed["profile"])
        from hardware_specs.device import Device

        assert parse_spec(text, Device, "printed") == device
        table = pd.read_csv("c.csv")
        assert len(table) == len(printed["samples"])
        assert (table["low"] <= table["seconds"]).all()
        assert (table["seconds"] <= table["high"]).all()
        unit = device.processor()
        assert 1e8 < device.memory.dram.bandwidth.value < 1e13
        assert unit.peak("fp32") == pytest.approx(
            table[table["number_format"] == "fp32"]["flops_per_s"].max(), rel=1e-3
        )
        assert 1e7 < unit.peak("fp32") < 1e15
        assert 0 < unit.launch_seconds < 0.1
        assert sorted(p.name for p in Path().iterdir()) == ["c.csv", "here.yaml"]
        assert run(["estimate", "-m", "qwen3-0.6b", "-d", "here.yaml", "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["tpot_s"] > 0

    def test_numpy_without_torch(self, monkeypatch):
        for name in ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS"):
            monkeypatch.delenv(name, raising=False)  # a test of worker processes may leave them
        library = NumpyLibrary()
        kept = [s.title for s in plan(MACHINE, library=library).steps]
        assert [t for t in kept if "fp32" in t] == ["products: fp32, numpy", "streaming: fp32"]
        overhead.tiny_decoder(library, 2)()
