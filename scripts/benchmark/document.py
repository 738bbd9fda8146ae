# SPDX-License-Identifier: Apache-2.0
"""docs/performance.md: what is between `<!-- bench: BLOCK -->` and `<!-- end -->` is made from bench/baseline.json."""
import re

from xlib import paths, ui

from . import rows, sizes

PAGE = paths.ROOT / "docs" / "performance.md"
BLOCK = re.compile(r"(<!-- bench: (\w+)(?: (\S+))? -->\n).*?(<!-- end -->)", re.DOTALL)
PEERS = {"xen": "Xen 4.17", "kvm": "KVM 6.1"}


def _table(head: list[str], lines: list[list[object]], numbers: bool = True) -> str:
    shown = [head, ["---"] + ["--:" if numbers else "---"] * (len(head) - 1), *lines]
    return "".join("| " + " | ".join("–" if cell is None else str(cell) for cell in line) + " |\n" for line in shown)


def _costs(data: dict, model: str) -> str:
    peers = data.get("peers", {}).get("rows", {}).get(model, {})
    lines = []
    out = any("out" in figures for figures in data["rows"][model].values())  # measured with --untraced
    for name, text in rows.names().items():
        ours = data["rows"][model].get(name, {})
        theirs = [peers.get(peer, {}).get(name) for peer in PEERS]
        floor, on = ours.get("floor"), ours.get("on")
        best = min((cost for cost in theirs if cost is not None), default=None)
        lines.append([text, floor, *([ours.get("out")] if out else []), ours.get("off"), on, f"{on / floor:.2f}" if on and floor else None, *theirs,
                      f"{on / best:.2f}" if on and best else None])
    lines.append(["reset to the guest's first instruction", None, *([None] if out else []), None, _million(data["boot"][model]), None,
                  *(_million(peers.get("boot", {}).get(peer)) for peer in PEERS), None])
    return _table(["operation", "floor", *(["none"] if out else []), "off", "on", "on / floor", *PEERS.values(), "on / best peer"], lines)


def _million(count: int | None, digits: int = 1) -> str | None:
    return f"{count / 1e6:.{digits}f} M" if count else None


def _kinds(data: dict, model: str) -> str:
    kinds = ["sysreg reads", "sysreg writes", "barriers", "cache/TLB/AT", "atomics"]
    lines = [[rows.names()[name], sum(counts.values()), *(counts.get(kind, 0) for kind in kinds)]
             for name, counts in data["kinds"][model].items() if counts]
    return _table(["operation", "at EL2", *kinds], lines)


def _path(data: dict, _model: str) -> str:
    lines, function = [], ""
    for number, (where, letter, text, source) in enumerate(data["path"], start=1):
        if where != function:
            function = where
            lines.append(f"{where}")
        lines.append(f"{number:>4} {letter:<1} {text:<34} {source}".rstrip())
    return "```text\n" + "\n".join(lines) + "\n```\n"


def _reasons(data: dict, _model: str) -> str:
    found = [("ours", name, why) for name, why in data["skipped"].items()]
    for model, by_peer in data.get("peers", {}).get("rows", {}).items():
        found += [(f"{PEERS[peer]}, {model}", name, why) for peer, skipped in by_peer["skipped"].items()
                  for name, why in skipped.items()]
    return _table(["where", "row", "why"], [[where, f"`{name}`", why] for where, name, why in found], numbers=False) if found else "None.\n"


def _image(data: dict, _model: str) -> str:
    ours = data["image"]
    lines = [["this hypervisor: " + ", ".join(f"{what} {size}" for what, size in ours.items()), sum(ours.values())]]
    if "peers" in data:
        lines.append(["Xen 4.17, its Image", data["peers"]["image"]["xen"]])
    return _table(["image", "bytes"], lines)


def _boot(data: dict, _model: str) -> str:
    total = sum(data["boot_for"].values())
    lines = [[purpose, _million(count, 2), f"{100 * count / total:.1f} %"] for purpose, count in data["boot_for"].items()]
    return _table(["what", "instructions", "share"], [*lines, ["all", _million(total, 2), None]])


def _sizes(data: dict, _model: str) -> str:
    return _table(["component", "code", "constants", "data", "all"], sizes.table(data["sizes"]))


BLOCKS = {"costs": _costs, "kinds": _kinds, "path": _path, "reasons": _reasons, "image": _image, "boot": _boot, "sizes": _sizes}
LATER = {"boot": "boot_for", "sizes": "sizes"}  # blocks that a baseline of before has no figures for: they stay


def render(page: str, data: dict) -> str:
    def block(m: re.Match) -> str:
        return m[0] if LATER.get(m[2], "rows") not in data else m[1] + "\n" + BLOCKS[m[2]](data, m[3]) + "\n" + m[4]

    return BLOCK.sub(block, page)


def update(data: dict) -> None:
    PAGE.write_text(render(PAGE.read_text(encoding="utf-8"), data), encoding="utf-8")
    ui.say(f"written: {PAGE.relative_to(paths.ROOT)}")


def is_current(data: dict) -> bool:
    page = PAGE.read_text(encoding="utf-8")
    return render(page, data) == page
