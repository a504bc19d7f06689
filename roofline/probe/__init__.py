"""Measures this computer and writes it down as a device profile.

Everything measured is a flat table of samples (`sampling.py`); the profile is a pure function of
that table and of what the operating system says (`profile.py`).
"""

from roofline.probe.machine import Machine, this_machine
from roofline.probe.plan import Plan, measure, plan
from roofline.probe.profile import to_device
from roofline.probe.sampling import Sample

__all__ = ["Machine", "Plan", "Sample", "measure", "plan", "this_machine", "to_device"]
