"""How long a full plan takes: 20 models x 4 formats x all strategies x up to 64 answers, a device.

python benchmarks/strategies_speed.py [--device phone]
"""

import argparse
import time


def main(device: str) -> None:
    start = time.perf_counter()
    from arch_space.library import load_models
    from hardware_specs import load_device
    from roofline.strategies.plan import plan
    from roofline.strategies.task import load_task
    from roofline.strategies.verifier import load_verifier

    task = load_task("math")
    models = load_models(sorted(task.models)[:20])
    judges = [load_verifier(name) for name in ("skywork-prm-1.5b", "prm-8b")]
    profile = load_device(device)
    loaded = time.perf_counter()
    for run in ("first plan", "again"):
        begun, busy = time.perf_counter(), time.process_time()
        found = plan(
            profile, task, models, ["fp16", "int8", "int4-g128", "q4_k_m"], {}, verifiers=judges
        )
        seconds, busy = time.perf_counter() - begun, time.process_time() - busy
        print(
            f"{run}: {len(models)} models x 4 formats x {len(found.options.strategy)} settings = "
            f"{found.options.count:,} options in {seconds:.2f} s "
            f"({busy:.2f} s of the processor)"
        )
    print(f"imports and files: {loaded - start:.2f} s")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="phone")
    main(parser.parse_args().device)
