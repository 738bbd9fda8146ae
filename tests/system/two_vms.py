# SPDX-License-Identifier: Apache-2.0
"""Two VMs side by side on their own CPUs: both boot, their consoles are told apart, both power off."""
import re
import tempfile
from pathlib import Path

from harness import BOOT_SECONDS, ROOT, Machine, check, run


def test() -> None:
    text = (Path(__file__).parent / "two_vms.dts.in").read_text(encoding="utf-8")
    text = text.replace("@KERNEL@", str(ROOT / ".cache/guest/Image"))
    text = text.replace("@INITRD@", str(ROOT / ".cache/guest/initramfs.cpio.gz"))
    with tempfile.TemporaryDirectory() as folder:
        dts = Path(folder) / "two.dts"
        dts.write_text(text, encoding="utf-8")
        with Machine("--vm", dts) as machine:
            machine.ends_with(0, 2 * BOOT_SECONDS)
    lines = machine.output.replace("\r", "").split("\n")
    for name, says in (("one", "i-am-one-21"), ("two", "i-am-two-22")):
        speakers = [match.group(1) for line in lines if (match := re.match(rf"\[(\w+)\] .*{says}", line))]
        check(speakers == [name], f"'{says}' was said by {speakers}, expected [{name}]")
    # Side by side, not one after the other: the second speaks before the first has powered off.
    order = [name for line in lines for name in ("one", "two") if line.startswith(f"[{name}] ")]
    check("one" in order[order.index("two"):], "the VMs ran one after the other")


run(test)
