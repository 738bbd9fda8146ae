# SPDX-License-Identifier: Apache-2.0
"""`source tools/gdb/init.py` in gdb-multiarch; then `target remote ...` and `arm-vcpu attach build/el2/hypervisor/arm-vcpu.elf`."""
import sys
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent))

import arm_vcpu_gdb.register  # noqa: E402, F401
