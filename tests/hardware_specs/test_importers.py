"""Files of benchmarks, written after the documented forms of each, read as rows."""

import json
import math
import re

import pytest

from hardware_specs.measurements.importers import KINDS, read_measurements
from hardware_specs.measurements.rows import COLUMNS, PUBLISHED, load_rows, row_flags
from spec_files import SpecError

WHERE = {"device_key": "rtx4080"}
ALL = {**WHERE, "model": "Llama-3.1-8B", "weight_format": "FP8"}

BENCH = {
    "build_commit": "8cf427ff", "build_number": 5163, "cpu_info": "AMD Ryzen 7 7800X3D",
    "gpu_info": "NVIDIA GeForce RTX 4080", "backends": "CUDA",
    "model_filename": "models/Qwen2.5-7B-Instruct-Q4_K_M.gguf",
    "model_type": "qwen2 7B Q4_K - Medium", "model_size": 4677120000,
    "model_n_params": 7615616512, "n_batch": 2048, "n_ubatch": 512, "n_threads": 8,
    "type_k": "f16", "type_v": "f16", "n_gpu_layers": 99, "flash_attn": True,
    "n_prompt": 512, "n_gen": 0, "n_depth": 0, "test_time": "2025-04-24T11:58:50Z",
    "avg_ns": 72135640, "stddev_ns": 1453752, "avg_ts": 7100.002165, "stddev_ts": 140.341520,
    "samples_ts": [6863.1, 7147.55],
}  # fmt: skip
GENERATED = BENCH | {"n_prompt": 0, "n_gen": 128, "avg_ts": 118.881588, "stddev_ts": 1.04}
DEEP = GENERATED | {"n_depth": 4096, "avg_ts": 100.0}
BOTH = BENCH | {"n_gen": 128, "avg_ts": 640.0}  # 640 tokens in a second

TABLE = """
Some words before, as people paste them.

| model                          |       size |     params | backend    | ngl | fa |            test |                  t/s |
| ------------------------------ | ---------: | ---------: | ---------- | --: | -: | --------------: | -------------------: |
| qwen2 7B Q4_K - Medium         |   4.36 GiB |     7.62 B | CUDA       |  99 |  1 |           pp512 |      7340.20 ± 23.45 |
| qwen2 7B Q4_K - Medium         |   4.36 GiB |     7.62 B | CUDA       |  99 |  1 |   tg128 @ d4096 |        116.71 ± 0.60 |
| qwen2 7B Q4_K - Medium         |   4.36 GiB |     7.62 B | CUDA       |  99 |  1 |     pp512+tg128 |        640.00 ± 0.60 |

build: 8cf427ff (5163)

| model                          |       size |     params | backend    |    threads | test       |              t/s |
| ------------------------------ | ---------: | ---------: | ---------- | ---------: | ---------- | ---------------: |
| llama 7B mostly Q4_0           |   3.56 GiB |     6.74 B | CPU        |          1 | tg 16      |      4.05 ± 0.02 |
"""  # noqa: E501


def write(tmp_path, content, name="file.txt"):
    path = tmp_path / name
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def as_csv(*tests):
    keys = [key for key in tests[0] if not isinstance(tests[0][key], list)]
    lines = [",".join(keys)] + [",".join(f'"{test[key]}"' for key in keys) for test in tests]
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize(
    "content",
    [
        [BENCH, GENERATED, DEEP, BOTH],
        "\n".join(json.dumps(test) for test in (BENCH, GENERATED, DEEP, BOTH)),
        as_csv(BENCH, GENERATED, DEEP, BOTH),
    ],
)
def test_llama_bench_in_json_json_lines_and_csv(tmp_path, content):
    frame = read_measurements(write(tmp_path, content), **WHERE)
    assert tuple(frame.columns) == COLUMNS
    assert frame["prefill_tok_s"].tolist()[0] == 7100.002165
    assert frame["decode_tok_s"].tolist()[1:3] == [118.881588, 100.0]
    assert frame["e2e_tok_s"].tolist()[3] == 128  # generated tokens of the second
    assert frame["context_depth"].tolist() == [0, 0, 4096, 0]
    assert frame["prefill_tok_s"].notna().sum() == frame["e2e_tok_s"].notna().sum() == 1
    row = frame.iloc[0]
    assert (row["device_key"], row["device"]) == ("rtx4080", "NVIDIA GeForce RTX 4080")
    assert (row["backend"], row["framework"]) == ("GPU (CUDA)", "llama.cpp")
    assert (row["model"], row["weight_format"]) == (
        "Qwen2.5-7B-Instruct-Q4_K_M",
        "Q4_K - Medium",
    )
    assert (row["params_b"], row["file_bytes"]) == (7.615616512, 4677120000)
    assert (row["date"], row["framework_version"]) == ("2025-04-24", "8cf427ff")
    assert (row["kv_format"], row["batch"], row["prompt_tokens"]) == ("f16", 1, 512)
    assert "FA on" in row["caveat"]
    assert row_flags(frame)["self_consistent"].all()


def test_llama_benchs_tables_as_pasted(tmp_path):
    later = read_measurements(write(tmp_path, f"{TABLE}\nbuild: 0dd5b78 (6001)\n"), device="a desk")
    assert later["framework_version"].tolist() == ["8cf427ff"] * 3 + ["0dd5b78"]
    frame = read_measurements(write(tmp_path, TABLE), device="a desk")
    assert frame["prefill_tok_s"].tolist()[0] == 7340.20
    assert frame["decode_tok_s"].tolist()[1] == 116.71
    assert frame["e2e_tok_s"].tolist()[2] == pytest.approx(128)
    assert frame["context_depth"].tolist() == [0, 4096, 0, 0]
    assert frame["framework_version"].tolist() == ["8cf427ff"] * 3 + [""]
    assert frame["backend"].tolist() == ["GPU (CUDA)"] * 3 + ["CPU"]
    assert frame["model"].tolist() == ["qwen2 7B"] * 3 + ["llama 7B"]
    assert frame["weight_format"].tolist() == ["Q4_K - Medium"] * 3 + ["Q4_0"]
    assert frame["file_bytes"].tolist()[3] == 3.56 * 2**30
    assert row_flags(frame)["single_thread"].tolist() == [False] * 3 + [True]


def test_a_gpu_that_holds_no_layer_is_the_cpu(tmp_path):
    found = [BENCH | {"n_gpu_layers": layers} for layers in (0, -1, 99)]
    frame = read_measurements(write(tmp_path, found), device="a desk")
    assert frame["backend"].tolist() == ["CPU", "GPU (CUDA)", "GPU (CUDA)"]


SERVE = {
    "date": "20260115-101530", "endpoint_type": "vllm", "backend": "vllm", "label": None,
    "model_id": "meta-llama/Llama-3.1-8B-Instruct",
    "tokenizer_id": "meta-llama/Llama-3.1-8B-Instruct", "num_prompts": 100, "request_rate": "inf",
    "burstiness": 1.0, "max_concurrency": 1, "duration": 200.0, "completed": 100, "failed": 0,
    "total_input_tokens": 102400, "total_output_tokens": 12800, "request_throughput": 0.5,
    "output_throughput": 64.0, "total_token_throughput": 576.0, "max_concurrent_requests": 2,
    "mean_ttft_ms": 60.0, "median_ttft_ms": 51.2, "std_ttft_ms": 1.0, "p99_ttft_ms": 90.0,
    "mean_tpot_ms": 12.0, "median_tpot_ms": 10.0, "std_tpot_ms": 1.0, "p99_tpot_ms": 14.0,
}  # fmt: skip


def test_vllm_bench_serve(tmp_path):
    busy = SERVE | {"max_concurrency": 16}
    content = f"{json.dumps(SERVE)}\n{json.dumps(busy)}\n"
    frame = read_measurements(write(tmp_path, content), **WHERE, weight_format="BF16")
    row = frame.iloc[0]
    assert row["model"] == "meta-llama/Llama-3.1-8B-Instruct"
    assert (row["batch"], row["prompt_tokens"], row["gen_tokens"]) == (1, 1024, 128)
    assert (row["ttft_ms"], row["prefill_tok_s"]) == (51.2, 20000)  # the median
    assert (row["decode_tok_s"], row["e2e_tok_s"], row["date"]) == (100, 64, "2026-01-15")
    assert frame["decode_tok_s"].tolist()[1] == 1600  # of all 16
    assert math.isnan(frame["prefill_tok_s"].tolist()[1])  # its TTFT is mostly waiting
    assert row_flags(frame)["no_prefill"].tolist() == [False, True]


LATENCY = {"avg_latency": 2.0, "std_latency": 0.1, "latencies": [2.0], "percentiles": {"50": 2.0}}
THROUGHPUT = {
    "elapsed_time": 10.0, "num_requests": 10, "total_num_tokens": 6400,
    "requests_per_second": 1.0, "tokens_per_second": 640.0,
}  # fmt: skip


def test_vllm_bench_latency_and_throughput_need_the_lengths(tmp_path):
    latency = write(tmp_path, LATENCY, "latency.json")
    shape = {"prompt_tokens": 512, "gen_tokens": 128, "batch": 8}
    assert read_measurements(latency, **ALL, **shape)["e2e_tok_s"].tolist() == [8 * 128 / 2]
    throughput = write(tmp_path, THROUGHPUT, "throughput.json")
    frame = read_measurements(throughput, **ALL, **shape)
    assert frame["e2e_tok_s"].tolist() == [128]  # a fifth of the tokens were generated
    assert frame["prompt_tokens"].tolist() == [512]
    for missing in shape:
        less = {name: value for name, value in shape.items() if name != missing}
        with pytest.raises(SpecError, match=f"give {missing}="):
            read_measurements(latency, **ALL, **less)
        with pytest.raises(SpecError, match=f"give {missing}="):
            read_measurements(throughput, **ALL, **less)


REPORT = {
    "engine": {"model": "meta-llama/Llama-3.1-8B-Instruct", "version": "1.1.0",
               "backend": "Pytorch", "dtype": "bfloat16", "kv_cache_dtype": "FP8",
               "quantization": "FP8"},
    "machine": {"name": "NVIDIA H100 80GB HBM3", "memory.total": 79.6, "clocks.mem": 2.6},
    "world_info": {"tp_size": 1, "world_size": 1, "max_batch_size": 1},
    "request_info": {"num_requests": 10, "avg_num_concurrent_requests": 0.998,
                     "avg_input_length": 1024.0, "avg_output_length": 128.0},
    "performance": {"total_latency_ms": 10000.0, "request_throughput_req_s": 1.0,
                    "system_output_throughput_tok_s": 128.0},
    "streaming_metrics": {"token_output_speed_tok_s": 200.0, "avg_ttft_ms": 25.6,
                          "avg_tpot_ms": 5.0},
}  # fmt: skip


def test_trtllm_bench(tmp_path):
    drafted = REPORT | {"decoding_stats": {"mode": "EAGLE"}}
    frame = read_measurements(write(tmp_path, [REPORT, drafted]))
    row = frame.iloc[0]
    assert (row["device"], row["weight_format"]) == ("NVIDIA H100 80GB HBM3", "FP8")
    assert (row["batch"], row["prompt_tokens"], row["ttft_ms"]) == (1, 1024, 25.6)
    assert (row["prefill_tok_s"], row["decode_tok_s"], row["e2e_tok_s"]) == (40000, 200, 128)
    assert row_flags(frame)["speculative"].tolist() == [False, True]
    pair = REPORT | {"world_info": {"tp_size": 2, "world_size": 2}}
    shared = row_flags(read_measurements(write(tmp_path, [REPORT, pair])))
    assert shared["several_devices"].tolist() == [False, True]
    assert shared["self_consistent"].tolist() == [True, False]


def test_trtllms_older_benchmarks(tmp_path):
    lines = """[TensorRT-LLM] TensorRT-LLM version: 0.11.0
[BENCHMARK] model_name llama_7b world_size 1 num_heads 32 num_kv_heads 32 num_layers 32 hidden_size 4096 vocab_size 32000 precision float16 batch_size 64 gpu_weights_percent 1.0 input_length 128 output_length 128 gpu_peak_mem(gb) 20.546 build_time(s) 0 tokens_per_sec 7373.14 percentile95(ms) 1116.268 percentile99(ms) 1118.393 latency(ms) 1111.06 compute_cap sm90 quantization QuantMode.FP8_QDQ|FP8_KV_CACHE generation_time(ms) 982.682 total_generated_tokens 8128.0 generation_tokens_per_second 8271.238
"""  # noqa: E501
    row = read_measurements(write(tmp_path, lines), **WHERE).iloc[0]
    assert (row["model"], row["weight_format"], row["batch"]) == ("llama_7b", "FP8", 64)
    assert (row["decode_tok_s"], row["e2e_tok_s"]) == (8271.238, 7373.14)
    assert row["ttft_ms"] == pytest.approx(1111.06 - 982.682)
    manager = """[BENCHMARK] num_samples 8
[BENCHMARK] num_error_samples 0

[BENCHMARK] num_samples 8
[BENCHMARK] total_latency(ms) 82239.22
[BENCHMARK] token_throughput(token/sec) 57.16
[BENCHMARK] avg_time_to_first_token(ms) 465.21
[BENCHMARK] avg_inter_token_latency(ms) 31.25
"""
    written = write(tmp_path, manager)
    frame = read_measurements(written, **ALL, batch=2)
    assert frame["e2e_tok_s"].tolist() == [57.16]
    assert frame["decode_tok_s"].tolist() == [64]
    with pytest.raises(SpecError, match="give batch="):
        read_measurements(written, **ALL)
    table = "num_samples,total_latency(ms),token_throughput(token/sec)\n8,82239.22,57.16\n"
    frame = read_measurements(write(tmp_path, table), **ALL, batch=2)
    assert frame["e2e_tok_s"].tolist() == [57.16]


def test_a_plain_table_in_its_own_words(tmp_path):
    text = "GPU,Model,quant,batch_size,TTFT (s),decode tps,avg power,room\nX,m,int4,1,0.5,30,7,a\n"
    path = write(tmp_path, text)
    frame = read_measurements(path, columns={"avg power": "power_w"})
    row = frame.iloc[0]
    assert (row["device"], row["model"], row["weight_format"]) == ("X", "m", "int4")
    assert (row["ttft_ms"], row["decode_tok_s"], row["power_w"]) == (500, 30, 7)
    assert row["room"] == "a"
    with pytest.raises(SpecError, match="no column 'avg powr'; nearest is 'avg power'"):
        read_measurements(path, columns={"avg powr": "power_w"})
    with pytest.raises(SpecError, match="unknown column 'watts'"):
        read_measurements(path, columns={"avg power": "watts"})
    doubled = write(tmp_path, "model,decode_tps,tg_tps\nm,1,2\n", "twice.csv")
    with pytest.raises(SpecError, match="'decode_tps' and 'tg_tps' both mean 'decode_tok_s'"):
        read_measurements(doubled, **ALL)
    misspelt = write(tmp_path, "model,decode_toks\nm,1\n", "misspelt.csv")
    with pytest.raises(SpecError, match="nearest is 'decode_tok_s'"):
        read_measurements(misspelt, **ALL)


@pytest.mark.parametrize("column", ["decode_tok_s", "decode tps", "ttft_s"])
def test_a_decimal_comma_is_refused_and_never_dropped(tmp_path, column):
    head = f"device,model,weight_format,{column}\n"
    comma = write(tmp_path, f'{head}x,m,int4,"4846,5"\n', "comma.csv")
    with pytest.raises(SpecError, match=r"comma\.csv:2: .*read '4846,5': write 4846\.5"):
        read_measurements(comma, prompt_tokens=512)
    column = "ttft_ms" if column == "ttft_s" else "decode_tok_s"
    factor = 1000 if column == "ttft_ms" else 1
    grouped = write(tmp_path, f'{head}x,m,int4,"4,846"\n', "grouped.csv")
    assert read_measurements(grouped, prompt_tokens=512)[column].tolist() == [4846 * factor]
    text = f"{head}x,m,int4,@\n".replace(",", ";").replace("@", "4,846")
    european = write(tmp_path, text, "european.csv")
    with pytest.raises(SpecError, match=r"write 4\.846"):
        read_measurements(european, prompt_tokens=512)


def test_the_published_table_is_a_plain_table_too(tmp_path):
    text = PUBLISHED.read_text(encoding="utf-8").splitlines(keepends=True)
    few = write(tmp_path, "".join(text[:120]), "few.csv")
    frame, expected = read_measurements(few), load_rows(few)
    assert frame.equals(expected)


@pytest.mark.parametrize("missing", ["device", "model", "weight_format"])
def test_what_a_file_does_not_say_is_asked_for_by_name(tmp_path, missing):
    known = {"device": "x", "model": "m", "weight_format": "FP8"}
    said = {name: value for name, value in known.items() if name != missing}
    path = write(tmp_path, "decode_tok_s\n3\n")
    assert read_measurements(path, **known)["decode_tok_s"].tolist() == [3]
    with pytest.raises(SpecError, match=f"give {missing}="):
        read_measurements(path, **said)


def test_a_value_that_is_given_stands_for_one_value_of_a_file_not_for_two(tmp_path):
    one = write(tmp_path, [BENCH, GENERATED])
    assert (
        read_measurements(one, **WHERE, model="Qwen2.5-7B")["model"].tolist() == ["Qwen2.5-7B"] * 2
    )
    two = write(tmp_path, [BENCH, GENERATED | {"model_filename": "other.gguf"}])
    with pytest.raises(SpecError, match=r"model='Qwen2\.5-7B' cannot stand for all"):
        read_measurements(two, **WHERE, model="Qwen2.5-7B")


REFUSED = [
    ("", "empty"),
    ("{", "not JSON"),
    ("[1, 2]", "no objects"),
    ('{"a": 1}', "no measurement of llama-bench, vllm bench, trtllm-bench, a table"),
    ("[]", "no measurement"),
    ("[" * 100_000, "nested too deeply"),
    ("dear reader,\nhello\n", "no measurement"),
    ("\0\0", "binary"),
    (json.dumps([BENCH | {"avg_ts": "fast"}]), "avg_ts: read 'fast'"),
    (json.dumps([BENCH | {"avg_ts": 0}]), "above zero"),
    (json.dumps([BENCH | {"avg_ts": True}]), "avg_ts"),
    (json.dumps([BENCH | {"n_prompt": 0}]), "neither a prompt"),
    (json.dumps({k: v for k, v in BENCH.items() if k != "avg_ts"}), "avg_ts"),
    (json.dumps(BENCH) + '\n{"n_pro', ":2: not a line of JSON"),
    (TABLE.replace("pp512 ", "perplexity "), "test: read 'perplexity'"),
    (TABLE.replace("4.36 GiB", "4.36 pounds"), "'4.36 pounds'"),
    (TABLE.replace("| CPU        |", "|"), "cells where the header has"),
    (json.dumps(SERVE | {"completed": None}), "completed"),
    (json.dumps(SERVE | {"median_ttft_ms": "soon"}), "median_ttft_ms: read 'soon'"),
    (json.dumps(REPORT | {"request_info": {}}), "give batch="),
    (json.dumps(REPORT | {"engine": "x"}), "engine: read 'x' where an object belongs"),
    (json.dumps(REPORT | {"streaming_metrics": [1]}), "streaming_metrics: read '[1]'"),
]


@pytest.mark.parametrize(("content", "told"), REFUSED)
def test_what_cannot_be_read_is_refused_in_one_sentence(tmp_path, content, told):
    with pytest.raises(SpecError, match=re.escape(told)) as refusal:
        read_measurements(write(tmp_path, content), **ALL)
    assert "file.txt" in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_a_misspelt_argument_is_refused(tmp_path):
    with pytest.raises(
        SpecError, match="unknown column 'weight_fromat'; nearest is 'weight_format'"
    ):
        read_measurements(write(tmp_path, [BENCH]), **WHERE, weight_fromat="FP8")
    assert set(KINDS) == {"llama-bench", "vllm bench", "trtllm-bench", "a table"}
