# SPDX-License-Identifier: Apache-2.0
"""`./x bench --growth`: the cost of an exit does not depend on how much there is beside it."""
from dataclasses import dataclass

from xlib import ui

from . import gate, machine, rows


@dataclass
class Shape:
    text: str
    vcpus: int = 2  # of the VM that measures
    memory_mib: int = 64
    vms_beside: int = 0  # idle ones
    vcpus_beside: int = 1  # of each of them


SHAPES = [
    Shape("1 VM"),
    Shape("8 VMs", vms_beside=7),
    Shape("8 vCPUs", vcpus=8),
    Shape("64 vCPUs", vcpus=8, vms_beside=7, vcpus_beside=8),  # in 8 VMs, which is the most
    Shape("2 GiB", memory_mib=2048),
]
SHORT = 2  # of them, for the test


def run(model: str, short: bool) -> int:
    costs: dict[str, dict[str, float]] = {}
    for shape in SHAPES[:SHORT] if short else SHAPES:
        with ui.Step(f"measuring with {shape.text} on {model}") as step:
            machine.heartbeat = step.progress
            costs[shape.text] = machine.run_beside(model, shape.vcpus, shape.memory_mib, shape.vms_beside,
                                                   shape.vcpus_beside).cost
    first = costs[SHAPES[0].text]
    print(f"{model}, recorder on: instructions for one operation\n  {'row':<19}" + "".join(f"{name:>10}" for name in costs))
    worse = []
    for name in rows.names():
        if name not in first:
            continue
        print(f"  {name:<19}" + "".join(f"{cost.get(name, '-'):>10}" for cost in costs.values()))
        worse += [f"{name}: {cost.get(name)} instructions with {text}, {first[name]} with {SHAPES[0].text}"
                  for text, cost in costs.items()
                  if name not in cost or abs(cost[name] - first[name]) > gate.TOLERANCE * first[name]]
    for line in worse:
        ui.say(f"GROWS: {line}")
    return 1 if worse else 0
