"""From a front's member to a training team: configuration files, a plan, a ladder, and back.

`make_plan` writes what one stack loads and a plan beside it; `check_ladder` takes the losses of the
ladder back and says whether the choice still stands. A stack joins by one module in `stacks/`, a
law of learning rate and batch size by one YAML file in `hyperparameters/`.
"""

from roofline.export.check import Verdict, check_ladder
from roofline.export.compute import Cluster
from roofline.export.folder import write_plan
from roofline.export.front import Front
from roofline.export.plan import Plan, make_plan
from roofline.export.stacks import stacks

__all__ = [
    "Cluster",
    "Front",
    "Plan",
    "Verdict",
    "check_ladder",
    "make_plan",
    "stacks",
    "write_plan",
]
