// SPDX-License-Identifier: Apache-2.0
#include "simulate.hpp"

#include <array>

#include "arm_vcpu/el2/sysreg.hpp"
#include "console.hpp"
#include "gic.hpp"
#include "guest_gic.hpp"
#include "trace_area.hpp"
#include "verdict.hpp"
#include "vm.hpp"

extern "C" {
#include <libfdt.h>
}

namespace arm_vcpu::hv {
namespace simulate {
namespace {

constexpr std::array<std::string_view, static_cast<std::size_t>(Failure::serror) + 1> kNames{
#define HV_SIMULATED_FAILURE(name, text) text,
#include "simulate.def"
#undef HV_SIMULATED_FAILURE
};

constinit std::optional<Failure> g_chosen{};

// FMOV D0, XZR. By number: the compiler has no floating point at EL2.
void use_floating_point() noexcept {
  __asm__ volatile(".inst 0x9E6703E0");
}

constinit volatile std::uint64_t g_deepest = ~std::uint64_t{0};

[[gnu::noinline]] std::uint64_t recurse(std::uint64_t depth) noexcept {
  if (depth == g_deepest) return 0;
  volatile std::uint64_t frame[32]{};
  frame[depth % 32] = depth;
  return recurse(depth + 1) + frame[depth % 32];
}

// SP_EL0 is the guest's; the first push faults or lands in the guest.
[[noreturn]] void use_sp_el0() noexcept {
  __asm__ volatile("msr spsel, #0\n\tmov sp, %0\n\tstr xzr, [sp, #-16]!" : : "r"(std::uint64_t{0x10}) : "memory");
  __builtin_unreachable();
}

void write_to_null() noexcept {
  std::uint64_t* volatile nowhere = nullptr;
  // NOLINTNEXTLINE(clang-analyzer-core.NullDereference): the failure that is simulated
  *reinterpret_cast<volatile std::uint64_t*>(nowhere) = 0;
}

constinit SpinLock g_lock{"simulated"};
[[gnu::noinline]] void report_under_lock() noexcept {
  const LockGuard guard{g_lock};
  log(Level::info, "unreachable");
}
[[gnu::noinline]] void lock_twice() noexcept {
  const LockGuard guard{g_lock};
  report_under_lock();
}

// As if the guest's SMC had gone on to firmware that resets the board.
void reset_once(VcpuSlot& slot) noexcept {
  if (trace_area::header()->boot_count != 0) return;
  slot.vcpu->record({.pc = slot.vcpu->trap_frame().elr, .data = 0xC200'FF01, .kind = trace::Kind::smc_forwarded});
  reset_machine();
}

}  // namespace

void choose(std::string_view name) noexcept {
  if (name.empty()) return;
  for (std::size_t i = 0; i < kNames.size(); ++i) {
    if (kNames[i] == name) g_chosen = static_cast<Failure>(i);
  }
  if (!g_chosen) finish_failed("/hypervisor simulate: there is no failure \"{}\"", name);
  log(Level::warn, "simulating a failure: {}", name);
}

bool is_chosen(Failure failure) noexcept {
  return g_chosen == failure;
}

void spoil(BundleVm& vm) noexcept {
  if (is_chosen(Failure::ipa_size)) vm.memory_bytes = std::uint64_t{1} << 50;
}

void vcpu_starts(VcpuSlot& slot) noexcept {
  if (!g_chosen || slot.vm->id() != 0 || slot.index != 0) return;
  switch (*g_chosen) {
    case Failure::fp_at_el2: return use_floating_point();
    case Failure::stack_overflow: (void)recurse(0); return;
    case Failure::wrong_stack: use_sp_el0();
    case Failure::null_write: return write_to_null();
    case Failure::lock_held: return lock_twice();
    case Failure::reset: return reset_once(slot);
    case Failure::start_level: {
      // A start one level above the one that the root table is made for.
      const std::uint64_t vtcr = VCPU_READ_SYSREG(vtcr_el2);
      const auto image = Vtcr::from(vtcr);
      VCPU_WRITE_SYSREG(vtcr_el2, image.with<Vtcr::SL0>(image.get<Vtcr::SL0>() == 1 ? 2 : 1).raw);
      return;
    }
    case Failure::cntvoff: VCPU_WRITE_SYSREG(cntvoff_el2, 0); return;
    case Failure::timer_sleeps:
    case Failure::no_ticks: return gic::disable_private(guest_machine::kVirtualTimerIntid);
    case Failure::maintenance_storm:
      // Underflow is asked for although no interrupt waits: it is asserted for good.
      (void)with_gic(slot, [](auto& gic) noexcept {
        using arm_vcpu::gic::IchHcr;
        gic.write_ich_hcr(IchHcr{}.with<IchHcr::En>(true).template with<IchHcr::UIE>(true));
        return 0;
      });
      return;
    default: return;
  }
}

}  // namespace simulate

// What the pre-flight is shown; the guest's memory is changed where it looks there.
void VmDoctor::spoil_configuration() noexcept {
  using simulate::Failure;
  using simulate::is_chosen;
  if (is_chosen(Failure::overlap)) {
    loaded_[loaded_count_++] = {"initrd", vm_.layout_.kernel.base + 0x1000, 0x20'0000};
    configuration_.loaded = std::span{loaded_}.first(loaded_count_);
  }
  if (is_chosen(Failure::memory_node)) {
    void* const tree = vm_.ram_.at(vm_.layout_.dtb.base);
    const int node = fdt_node_offset_by_prop_value(tree, -1, "device_type", "memory", sizeof "memory");
    const std::array<fdt64_t, 2> reg{cpu_to_fdt64(vm_.ram_.ipa), cpu_to_fdt64(2 * vm_.ram_.bytes)};
    if (node < 0 || fdt_setprop_inplace(tree, node, "reg", reg.data(), sizeof reg) != 0) {
      finish_failed("the guest's device tree has another form of /memory");
    }
  }
  if (is_chosen(Failure::cpu_node)) mpidrs_[0] = 0x100;
  if (is_chosen(Failure::entry_outside)) configuration_.entry = vm_.ram_.ipa + vm_.ram_.bytes;
  if (is_chosen(Failure::passthrough)) configuration_.passthrough_interrupt = true;
  if (is_chosen(Failure::hidden_device)) {
    (void)vm_.memory_->map(guest_machine::kUart.base, vm_.ram_.pa, guest_machine::kUart.bytes, stage2::kGuestRam);
  }
}

// The VM is loaded.
void VmDoctor::spoil_vm() noexcept {
  if (simulate::is_chosen(simulate::Failure::wrong_x0)) (void)vm_.slots_[0].vcpu->set_gpr(0, 0);
  if (simulate::is_chosen(simulate::Failure::interrupt_lost)) {
    // Orphaned: active, and nobody remembers.
    vm_.vgic_spis_[0].active = true;
  }
}

}  // namespace arm_vcpu::hv
