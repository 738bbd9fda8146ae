// SPDX-License-Identifier: Apache-2.0
// The shortest complete hypervisor on arm_vcpu: one CPU, one vCPU, a guest of nine instructions that writes to a UART
// which the hypervisor emulates, and then powers its machine off. For QEMU's `virt` machine.
#include <span>

#include "arm_vcpu/arm_vcpu.hpp"
#include "arm_vcpu/el2/panic.hpp"
#include "arm_vcpu/el2/stage2_hw.hpp"

// The host, boiled down: a stack, the reset vector, a UART to print on, a way to power off.
asm(R"(
    .section .text.start, "ax"
    .global _start
_start:
    adrp  x0, stack_top
    mov   sp, x0
    bl    hypervisor
)");

// The guest. It is copied to nowhere: stage 2 maps the page in which it lies to where the guest expects RAM.
asm(R"(
    .section .guest, "ax"
    .balign 4096
guest_image:
    adr   x1, 2f
    mov   x2, #0x09000000
1:  ldrb  w0, [x1], #1
    cbz   w0, 3f
    strb  w0, [x2]
    b     1b
3:  movz  w0, #0x8400, lsl #16
    movk  w0, #0x0008
    hvc   #0
2:  .asciz "Hello from EL1\n"
    .balign 4096
)");
extern "C" const char guest_image[];

namespace {

using namespace arm_vcpu;

constexpr std::uint64_t kGuestRam = 0x4000'0000;
constexpr std::uint64_t kUart = 0x0900'0000;

void put(char c) {
  *reinterpret_cast<volatile char*>(kUart) = c;
}

[[noreturn]] void power_off() {
  register std::uint64_t function asm("x0") = 0x8400'0008;
  asm volatile("smc #0" : "+r"(function));
  for (;;) el2::wfe();
}

// Prints why and stops.
template <class T>
T must(Result<T> result) {
  if (!result) {
    char storage[256];
    TextBuffer line{storage};
    append(line, result.error());
    for (const char c : line.view()) put(c);
    put('\n');
    power_off();
  }
  if constexpr (!std::is_void_v<T>) return std::move(*result);
}

alignas(4096) std::uint8_t tables[16 * 4096];
constinit Aarch64PerCpu cpu{0};

}  // namespace

extern "C" [[noreturn]] void hypervisor() {
  must(cpu.hardware_enable());
  const CpuIdentity& id = cpu.capabilities().id;
  const auto layout =
      must(stage2::layout_for(36, IdAa64Mmfr0::from(id.id_aa64mmfr0_el1), IdAa64Mmfr1::from(id.id_aa64mmfr1_el1)));
  el2::TablePool<16> pool{reinterpret_cast<std::uintptr_t>(tables), sizeof tables};
  el2::TlbOps tlb = el2::TlbOps::of_this_cpu();
  auto memory = must(Stage2<el2::TablePool<16>, el2::TlbOps>::create(layout, pool, tlb, 1));
  must(memory.map(kGuestRam, reinterpret_cast<std::uintptr_t>(guest_image), 4096, stage2::kGuestRam));

  Aarch64VCpu vcpu = must(Aarch64VCpu::create({.mpidr_el1 = 0, .dtb_addr = 0}));
  must(vcpu.setup({}));
  must(vcpu.set_ept_root({memory.vttbr().raw, layout.vtcr().raw}));
  must(vcpu.set_entry(kGuestRam));
  must(vcpu.bind(cpu));
  for (;;) {
    const AxVCpuExitReason exit = must(vcpu.run());
    if (const auto* write = exit.get_if<AxVCpuExitReason::MmioWrite>(); write != nullptr && write->addr == kUart) {
      put(static_cast<char>(write->data));
      must(vcpu.complete_mmio_write());
    } else if (exit.is<AxVCpuExitReason::SystemDown>()) {
      power_off();
    } else {
      must(vcpu.inject_undefined());
    }
  }
}

extern "C" [[noreturn]] void arm_vcpu_el2_panic(const El2PanicFrame*) {
  power_off();
}
