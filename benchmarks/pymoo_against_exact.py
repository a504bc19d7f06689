"""How much of the exact front a heuristic finds, and how it fares beside others.

    python benchmarks/pymoo_against_exact.py [--space on-device] [--device phone]
        [--objectives loss,tpot] [--seeds 0,1,2,3,4] [--trials 2000,5000] [--samplers NSGAIISampler]
        [--check] [--algorithms]

First, ours with at most one percent of the evaluations that the exact front takes. Then ours,
random search and Optuna's samplers at the same numbers of evaluations, which `--trials` holds
down to what Optuna can do (its time grows with their square). Optuna is left out where it is not
installed (pip install 'roofline[bayesian]'). Its trials choose ranks and categories as ours do,
and are repaired by the same rules.
With --check the exit status is 1 where a seed stays below 99.5 % or the others come out ahead.
--algorithms instead compares NSGA-II with NSGA-III on two to six objectives.
"""

import argparse
import logging
import sys
import time
from collections.abc import Callable

import numpy as np

from arch_space.spaces import load_space
from hardware_specs import load_device
from roofline.laws import load_law
from roofline.search import Problem, RooflineEvaluator, enumerate_exactly, evolve
from roofline.search.evolution import ALGORITHMS
from roofline.search.evolution.encoding import Encoding
from roofline.search.fronts import hypervolume_ratio, merge, non_dominated, reference_point
from roofline.workload import Workload

GOAL = 0.995


def random_search(problem: Problem, evaluations: int, seed: int) -> np.ndarray:
    """The front of candidates drawn at random, each as likely as any other."""
    rng, found = np.random.default_rng(seed), np.empty(0, dtype=np.int64)
    while len(found) < evaluations:
        drawn = rng.integers(problem.space.size, size=4 * evaluations)
        found = np.unique(np.concatenate([found, drawn[problem.space.valid(drawn)]]))
    judged = problem.evaluate(problem.space.at(rng.permutation(found)[:evaluations]))
    points = judged.points[judged.feasible]
    return points[non_dominated(points)]


def optuna_search(sampler: str) -> Callable[[Problem, int, int], np.ndarray]:
    """A search by a sampler of Optuna, a trial a candidate."""
    import warnings

    import optuna

    warnings.simplefilter("ignore")
    optuna.logging.set_verbosity(logging.ERROR)

    def searched(problem: Problem, evaluations: int, seed: int) -> np.ndarray:
        code, seen = Encoding(problem.space), []

        def trial(asked: optuna.Trial) -> tuple[float, ...]:
            row = [
                asked.suggest_int(str(axis), 0, length - 1)
                if code.ordered[axis]
                else asked.suggest_categorical(str(axis), list(range(length)))
                for axis, length in enumerate(problem.space.shape)
            ]
            point = code.points(code.repair(np.array([row])))
            judged = problem.evaluate(problem.space.at(point))
            if judged.feasible[0]:
                seen.append(judged.points[0])
            return tuple(judged.points[0] + 1e6 * judged.excess[0])

        study = optuna.create_study(
            directions=["minimize"] * len(problem.objectives),
            sampler=getattr(optuna.samplers, sampler)(seed=seed),
        )
        study.optimize(trial, n_trials=evaluations)
        points = np.array(seen)
        return points[non_dominated(points)]

    return searched


def ours(problem: Problem, evaluations: int, seed: int) -> np.ndarray:
    return evolve(problem, evaluations=evaluations, seed=seed).points


def against_others(
    problem: Problem, exact: np.ndarray, trials: int, seeds: list[int], samplers: list[str]
) -> bool:
    searches = {"roofline (nsga2)": ours, "random search": random_search}
    try:
        searches |= {f"Optuna {s}": optuna_search(s) for s in samplers}
    except ModuleNotFoundError:
        print("Optuna is not installed: pip install 'roofline[bayesian]'")
    print(f"\nat {trials:,} evaluations: share of the exact hypervolume by seed, mean, seconds")
    means, found = {}, {}
    for name, searched in searches.items():
        began = time.perf_counter()
        shares = [hypervolume_ratio(searched(problem, trials, s), exact) for s in seeds]
        means[name], found[name] = float(np.mean(shares)), np.array(shares)
        each = "  ".join(f"{share:8.3%}" for share in shares)
        took = (time.perf_counter() - began) / len(seeds)
        print(f"{name:22} {each}   {means[name]:8.3%}   {took:6.1f}", flush=True)
    own = found.pop("roofline (nsga2)")
    for name, shares in found.items():
        print(f"ahead of {name} on {np.sum(own > shares)} of {len(seeds)} seeds")
    return max(means, key=means.__getitem__) == "roofline (nsga2)"


def algorithms(space: str, judge: RooflineEvaluator, trials: int, seeds: list[int]) -> None:
    """The hypervolume of each algorithm, as a share of that of all their points together."""
    import moocore

    print(f"at {trials:,} evaluations: hypervolume by algorithm, as a share of all runs' together")
    names = ("loss", "tpot", "ttft", "memory", "energy", "latency")
    for count in range(2, len(names) + 1):
        problem = Problem(load_space(space), judge, names[:count])
        runs = {
            name: [evolve(problem, algorithm=name, evaluations=trials, seed=s) for s in seeds]
            for name in ALGORITHMS
        }
        _, points = merge([(r.indices, r.points) for each in runs.values() for r in each])
        best, worst = points.min(axis=0), reference_point(points)

        def volume(found: np.ndarray, best: np.ndarray = best, worst: np.ndarray = worst) -> float:
            scaled = (found - best) / (worst - best)
            return moocore.hv_approx(scaled[(scaled < 1).all(axis=1)], ref=1.0, nsamples=2**15)

        whole = volume(points)
        means = {n: np.mean([volume(r.points) / whole for r in each]) for n, each in runs.items()}
        said = "  ".join(f"{name} {mean:8.3%}" for name, mean in means.items())
        print(f"{','.join(problem.objectives):40} {said}", flush=True)


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--space", default="on-device")
    options.add_argument("--device", default="phone")
    options.add_argument("--objectives", default="loss,tpot")
    options.add_argument("--seeds", default="0,1,2,3,4")
    options.add_argument("--trials", default="2000")
    options.add_argument("--samplers", default="NSGAIISampler,TPESampler")
    options.add_argument("--check", action="store_true")
    options.add_argument("--algorithms", action="store_true")
    asked = options.parse_args()
    seeds = [int(seed) for seed in asked.seeds.split(",")]
    trials = [int(most) for most in asked.trials.split(",")]
    samplers = asked.samplers.split(",")

    judge = RooflineEvaluator(load_device(asked.device), Workload(), load_law("codesign"))
    if asked.algorithms:
        algorithms(asked.space, judge, trials[0], seeds)
        return 0
    problem = Problem(load_space(asked.space), judge, asked.objectives)
    exact = enumerate_exactly(problem)
    print(
        f"exact: {exact.evaluated:,} candidates in {exact.seconds:.1f} s "
        f"({exact.evaluated / exact.seconds:,.0f}/s), front of {len(exact)}"
    )
    reached = []
    for most in (exact.evaluated // 1000, exact.evaluated // 100):
        for seed in seeds:
            found = evolve(problem, evaluations=most, seed=seed)
            both = np.isin(found.indices, exact.indices).sum()
            reached.append(found.hypervolume_ratio(exact))
            print(
                f"{found.method}, seed {seed}: {found.evaluated:,} of {most:,} evaluations "
                f"({found.evaluated / exact.evaluated:.2%} of enumeration) in "
                f"{found.seconds:.1f} s, {reached[-1]:.3%} of the hypervolume, "
                f"{both} of {len(exact)} points",
                flush=True,
            )
    leads = [against_others(problem, exact.points, most, seeds, samplers) for most in trials]
    missed = [f"{GOAL:.1%} of the hypervolume"] if min(reached) < GOAL else []
    missed += [] if all(leads) else ["ahead of the others"]
    print("missed: " + ", ".join(missed) if missed else "every target met")
    return int(bool(missed) and asked.check)


if __name__ == "__main__":
    sys.exit(main())
