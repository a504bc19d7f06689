"""How much of the exact front NSGA-II finds, on a space that can be enumerated.

    python benchmarks/pymoo_against_exact.py [--space on-device] [--device phone]
        [--objectives loss,tpot] [--evaluations 20000,100000] [--seeds 0,1,2]

Prints the share of the exact front's hypervolume and how many of its points each run found.
"""

import argparse

import numpy as np

from arch_space.spaces import load_space
from hardware_specs import load_device
from roofline.laws import load_law
from roofline.search import Problem, RooflineEvaluator, enumerate_exactly, evolve
from roofline.workload import Workload


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--space", default="on-device")
    options.add_argument("--device", default="phone")
    options.add_argument("--objectives", default="loss,tpot")
    options.add_argument("--evaluations", default="20000,100000")
    options.add_argument("--seeds", default="0,1,2")
    asked = options.parse_args()

    judge = RooflineEvaluator(load_device(asked.device), Workload(), load_law("codesign"))
    problem = Problem(load_space(asked.space), judge, asked.objectives)
    exact = enumerate_exactly(problem)
    print(
        f"exact: {exact.evaluated:,} candidates in {exact.seconds:.1f} s "
        f"({exact.evaluated / exact.seconds:,.0f}/s), front of {len(exact)}"
    )
    for evaluations in map(int, asked.evaluations.split(",")):
        for seed in map(int, asked.seeds.split(",")):
            found = evolve(problem, evaluations=evaluations, seed=seed)
            both = np.isin(found.indices, exact.indices).sum()
            print(
                f"nsga2, seed {seed}: {found.evaluated:,} evaluations in {found.seconds:.1f} s, "
                f"{100 * found.hypervolume_ratio(exact):.3f} % of the hypervolume, "
                f"{both} of {len(exact)} points"
            )


if __name__ == "__main__":
    main()
