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
    for name, says in (("vm0", "i-am-one-21"), ("vm1", "i-am-two-22")):
        speakers = [match.group(1) for line in lines if (match := re.match(rf"\[(\w+)\] .*{says}", line))]
        check(speakers == [name], f"'{says}' was said by {speakers}, expected [{name}]")
    # Side by side, not one after the other: the second speaks before the first one's last line.
    order = [name for line in lines for name in ("vm0", "vm1") if line.startswith(f"[{name}] ")]
    check(order.index("vm1") < len(order) - 1 - order[::-1].index("vm0"), "the VMs ran one after the other")


run(test)
