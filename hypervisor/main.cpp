// SPDX-License-Identifier: Apache-2.0
// From the first C++ function to hypervisor_main(): each step in order, each failure a line and the end.
#include "board.hpp"
#include "console.hpp"
#include "device_tree.hpp"
#include "gic.hpp"
#include "host_psci.hpp"
#include "layout.hpp"
#include "memory.hpp"
#include "mmu.hpp"
#include "pauth.hpp"
#include "platform.hpp"
#include "smp.hpp"
#include "verdict.hpp"
#include "vm_doctor.hpp"

extern "C" {
[[noreturn]] void hv_main(std::uint64_t tree);
extern std::uintptr_t __stack_chk_guard;
}

namespace arm_vcpu::hv {
namespace {

constinit Platform g_platform{};

template <class T>
T value_or_finish(BoardResult<T>&& result) noexcept {
  if (!result) finish_failed("{}; {}", result.error().what, result.error().fix);
  if constexpr (!std::is_void_v<T>) return *result;
}

void start_console(const void* tree) noexcept {
  const BoardResult<UartInfo> uart = find_uart(tree);
  if (!uart || !mmu::map_device(uart->registers)) host_psci::system_off();  // nothing to say it on
  console::start(*uart);
}

// "log=debug" in the boot arguments.
void set_log_level_from(std::string_view bootargs) noexcept {
  constexpr std::string_view kKey = "log=";
  while (!bootargs.empty()) {
    const std::size_t space = bootargs.find(' ');
    const std::string_view word = bootargs.substr(0, space);
    if (word.starts_with(kKey)) {
      if (const std::optional<Level> level = level_named(word.substr(kKey.size()))) {
        set_log_level(*level);
      } else {
        log(Level::warn, "{}: a log level is error, warn, info, debug or trace", word);
      }
    }
    bootargs.remove_prefix(space == std::string_view::npos ? bootargs.size() : space + 1);
  }
}

void check_exception_level(const void* tree, PsciConduit conduit) noexcept {
  const unsigned el = el2::current_el();
  // A GICv2 is not the CPU's: start_gic() looks at it.
  const BoardResult<GicInfo> gic = find_gic(tree);
  explain_this_cpu({.virtual_gic = !gic || gic->version != 2});
  if (el != 2) {
    finish_failed(
        "entered at EL{}; EL2 is needed (QEMU: -machine virt,virtualization=on; board: firmware that enters at EL2)",
        el);
  }
  constexpr std::uint64_t kE2H = 1ULL << 34;
  if ((VCPU_READ_SYSREG(hcr_el2) & kE2H) != 0) {
    finish_failed("HCR_EL2.E2H of this CPU cannot be cleared; a CPU with FEAT_E2H0 is needed");
  }
  if (conduit == PsciConduit::hvc) {
    host_psci::init(PsciConduit::none);
    log(Level::warn, "the device tree's PSCI method is hvc, which ends at EL2: no other CPU, and no power-off");
  } else if (conduit == PsciConduit::none) {
    log(Level::warn, "the device tree has no arm,psci-0.2 or newer: no other CPU, and no power-off");
  }
  if (el2::counter_hz() == 0) finish_failed("CNTFRQ_EL0 is 0; the firmware must set the counter's frequency");
}

void start_gic(const GicInfo& info) noexcept {
  hv::value_or_finish(mmu::map_device(info.distributor), "mapping the GIC's distributor");
  for (const Range& frame : {info.cpu_interface, info.interface_control}) {
    if (frame.bytes != 0) hv::value_or_finish(mmu::map_device(frame), "mapping the GICv2's CPU interface");
  }
  for (std::size_t i = 0; i < info.redistributor_count; ++i) {
    hv::value_or_finish(mmu::map_device(info.redistributors[i]), "mapping the GIC's redistributors");
  }
  hv::value_or_finish(gic::init_distributor(info), "the GIC's distributor");
  hv::value_or_finish(gic::init_this_cpu(), "the GIC of CPU 0");
  if (const std::optional<Interrupt> uart = console::interrupt()) {
    gic::route_spi(*uart);
    console::listen();
  }
}

[[noreturn]] void boot(const void* tree) noexcept {
  const PsciConduit conduit = find_psci(tree);
  host_psci::init(conduit);
  start_console(tree);
  check_exception_level(tree, conduit);

  Board& board = g_platform.board;
  value_or_finish(read_board(tree, board));
  set_log_level_from(board.bootargs);
  smp::init(board.cpus);
  hv::value_or_finish(memory::init(board), "taking over the machine's memory");
  start_gic(board.gic);
  g_platform.pa_bits = mmu::physical_address_bits();
  g_platform.list_registers = gic::list_registers();

  log(Level::info, "arm_vcpu {} on {} CPUs, EL2, PA {} bits, GICv{} {} list registers, {} MiB", VCPU_VERSION,
      smp::count(), g_platform.pa_bits, board.gic.version, g_platform.list_registers, board.ram.bytes() >> 20);
  log(Level::debug, "{}; image at {:x}, device tree at {:x}, bundle at {:x} ({} bytes), {} MiB free", board.model,
      image_range().base, board.tree.base, board.bundle.base, board.bundle.bytes, memory::bytes_left() >> 20);
  if (board.cpus.unusable != 0) log(Level::warn, "{} CPUs of the device tree cannot be used", board.cpus.unusable);
  smp::start_secondaries();
  hypervisor_main(g_platform);
  finish_ok();
}

}  // namespace

// For an image without guests.
[[gnu::weak]] void hypervisor_main(Platform&) noexcept {
  log(Level::info, "this image runs no guests");
}

}  // namespace arm_vcpu::hv

// From boot.S: MMU on, the image and the device tree mapped. Never returns, so that the guard and the key may change.
void hv_main(std::uint64_t tree) {
  __stack_chk_guard = arm_vcpu::hv::boot_random() & ~std::uintptr_t{0xFF};
  // Without a device tree there is no console to say so.
  const std::uint64_t bytes = arm_vcpu::hv::mmu::tree_bytes(tree);
  const auto* const first = arm_vcpu::hv::pointer_to<const std::byte>(tree);
  if (bytes == 0 || !arm_vcpu::hv::dt::is_whole({first, bytes})) hv_park();
  if (arm_vcpu::el2::current_el() == 2) arm_vcpu::hv::enable_pauth_if_built_in();
  arm_vcpu::hv::boot(arm_vcpu::hv::pointer_to<const void>(tree));
}
