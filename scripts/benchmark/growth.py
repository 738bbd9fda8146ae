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
    shared: bool = False  # all on one CPU


# The first of a group is what the others are compared with.
GROUPS = {
    "full": [
        [Shape("1 VM"), Shape("8 VMs", vms_beside=7), Shape("8 vCPUs", vcpus=8),
         Shape("64 vCPUs", vcpus=8, vms_beside=7, vcpus_beside=8),  # in 8 VMs, which is the most
         Shape("2 GiB", memory_mib=2048)],
        [Shape("one CPU", shared=True), Shape("8 VMs", shared=True, vms_beside=7),
         Shape("58 vCPUs", shared=True, vms_beside=7, vcpus_beside=8)],
    ],
    "short": [
        [Shape("1 VM"), Shape("8 VMs", vms_beside=7)],
        [Shape("one CPU", shared=True), Shape("8 VMs", shared=True, vms_beside=7)],
    ],
}


def _group(model: str, shapes: list[Shape]) -> list[str]:
    """Prints the costs, and returns what differs."""
    costs: dict[str, dict[str, float]] = {}
    for shape in shapes:
        where = f"{shape.text}, shared" if shape.shared else shape.text
        with ui.Step(f"measuring with {where} on {model}") as step:
            machine.heartbeat = step.progress
            costs[shape.text] = machine.run_beside(model, shape.vcpus, shape.memory_mib, shape.vms_beside,
                                                   shape.vcpus_beside, shape.shared).cost
    base = shapes[0].text
    print(f"{model}, recorder on{', all vCPUs on one CPU' if shapes[0].shared else ''}: instructions for one operation\n"
          f"  {'row':<19}" + "".join(f"{name:>10}" for name in costs))
    differs = []
    for name in rows.names():
        before = costs[base].get(name)
        if before is None:
            continue
        print(f"  {name:<19}" + "".join(f"{cost.get(name, '-'):>10}" for cost in costs.values()))
        differs += [f"{name}: {cost.get(name)} instructions with {text}, {before} with {base}"
                    for text, cost in costs.items()
                    if name not in cost or abs(cost[name] - before) > gate.TOLERANCE * before]
    return differs


def run(model: str, extent: str) -> int:
    differs = [line for shapes in GROUPS[extent] for line in _group(model, shapes)]
    for line in differs:
        ui.say(f"GROWS: {line}")
    return 1 if differs else 0
