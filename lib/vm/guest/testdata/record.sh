#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Records the device trees of QEMU's `virt` that guest_fdt_test compares with, and takes out what our machine does not
# have. Needs qemu-system-aarch64 (7.2) and dtc. Usage: record.sh, anywhere; it writes beside itself.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -r "$work"' EXIT
truncate -s 1M "$work/kernel"
truncate -s 300000 "$work/initrd"

record() { # GIC NAME OPTION...
  gic=$1
  name=$2
  shift 2
  qemu-system-aarch64 -machine "virt,gic-version=$gic,dtb-randomness=off,dumpdtb=$work/$name.dtb" -cpu cortex-a57 \
    -display none -nic none "$@" 2>/dev/null
  for node in $(fdtget -l "$work/$name.dtb" /); do
    case $node in
      virtio_mmio@* | platform-bus@* | fw-cfg@* | gpio-keys | pl061@* | pl031@* | pcie@* | flash@*)
        fdtput -r "$work/$name.dtb" "/$node" ;;
    esac
  done
  for child in $(fdtget -l "$work/$name.dtb" /intc@8000000); do
    fdtput -r "$work/$name.dtb" "/intc@8000000/$child"  # the ITS; the frames of a GICv2m
  done
  {
    echo "// SPDX-License-Identifier: Apache-2.0"
    echo "// Recorded by record.sh: $*" | sed "s|$work/||g"
    dtc -q -I dtb -O dts "$work/$name.dtb"
  } >"$here/$name.dts"
}

record 3 virt_1 -smp 1 -m 256
record 3 virt_4_linux -smp 4 -m 512 -kernel "$work/kernel" -initrd "$work/initrd" -append "console=ttyAMA0 quiet"
record 3 virt_20 -smp 20 -m 4096
record 2 virt_1_gicv2 -smp 1 -m 256
record 2 virt_8_gicv2 -smp 8 -m 512
