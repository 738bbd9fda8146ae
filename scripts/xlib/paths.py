# SPDX-License-Identifier: Apache-2.0
"""Where things are. All that is made goes to build/ and .cache/ of the checkout, both ignored by git."""
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build"
CACHE = ROOT / ".cache"
LOGS = CACHE / "log"
RUNS = CACHE / "run"

LIBFDT = CACHE / "libfdt"
GUEST_KERNEL = CACHE / "guest" / "Image"
GUEST_INITRAMFS = CACHE / "guest" / "initramfs.cpio.gz"
GUEST_BUSYBOX = CACHE / "guest" / "busybox"

PEERS = CACHE / "peers"  # other hypervisors, for ./x bench --peers

HYPERVISOR_ELF = BUILD / "el2" / "hypervisor" / "arm-vcpu.elf"
HYPERVISOR_IMAGE = BUILD / "el2" / "hypervisor" / "arm-vcpu.img"
