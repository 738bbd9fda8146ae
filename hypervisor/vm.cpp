// SPDX-License-Identifier: Apache-2.0
#include "vm.hpp"

#include <cstring>

#include "arm_vcpu/el2/sysreg.hpp"
#include "arm_vcpu/vm/guest_fdt.hpp"
#include "arm_vcpu/vm/stage2_layout.hpp"
#include "console.hpp"
#include "cpu_loop.hpp"
#include "memory.hpp"
#include "trace_area.hpp"

namespace arm_vcpu::hv {
namespace {

constexpr std::uint64_t kBlock2M = std::uint64_t{2} << 20;

void copy(std::byte* to, std::span<const std::byte> from) noexcept {
  std::memcpy(to, from.data(), from.size());
}

}  // namespace

// RAM starts at 1 GiB, and it is the highest thing there is.
unsigned ipa_bits_of(const BundleVm& config) noexcept {
  const std::uint64_t end = guest_machine::kRamBase + config.memory_bytes;
  const unsigned needed = 64U - static_cast<unsigned>(__builtin_clzll(end - 1));
  return needed < stage2::kMinIpaBits ? stage2::kMinIpaBits : needed;
}

Result<> Vm::build(unsigned id, const BundleVm& config, std::span<const unsigned> cpus,
                   VmEnvironment& environment) noexcept {
  id_ = id;
  config_ = config;
  environment_ = &environment;
  vcpu_count_ = static_cast<unsigned>(cpus.size());
  cntvoff_ = el2::counter_ticks();
  if (const Result<> mapped = map_memory(); !mapped) return mapped;
  if (flash_.bytes != 0) {
    if (const Result<> added = bus_.add({.base = guest_machine::kFlash.base,
                                         .size = guest_machine::kFlash.bytes + guest_machine::kFlash1.bytes,
                                         .name = "flash",
                                         .device = &erased_flash_});
        !added) {
      return added;
    }
  }
  if (const Result<> created = create_interrupt_controller(environment.capabilities); !created) return created;
  if (const Result<> allocated = allocate_sve(environment.capabilities); !allocated) return allocated;
  if (const Result<> added = bus_.add({.base = guest_machine::kUart.base,
                                       .size = guest_machine::kUart.bytes,
                                       .name = "pl011@9000000",
                                       .device = &uart_,
                                       .widths = kWidthsUpToWord});
      !added) {
    return added;
  }
  if (const Result<> added = add_scratch_device(); !added) return added;
  power_.emplace(std::span{power_slots_}.first(vcpu_count_), std::span{executable_}.first(flash_.bytes != 0 ? 2 : 1));
  for (unsigned i = 0; i < vcpu_count_; ++i) {
    power_slots_[i].mpidr = guest_machine::affinity_of(i);
    VcpuSlot& slot = slots_[i];
    slot.vm = this;
    slot.index = i;
    slot.cpu = cpus[i];
    slot.interrupts = &vgic_->state(i);
    slot.last_here = &last_here_[slot.cpu];
    Result<Aarch64VCpu> vcpu =
        Aarch64VCpu::create({.mpidr_el1 = guest_machine::affinity_of(i), .dtb_addr = layout_.dtb.base});
    if (!vcpu) return std::unexpected(vcpu.error());
    slot.vcpu.emplace(std::move(*vcpu));
    if (const Result<> set =
            slot.vcpu->setup({.passthrough_timer = true,
                              .pmu = config.pmu && environment.pmu_intid != 0,
                              .cntvoff_el2 = cntvoff_,
                              .ipa_bits = memory_->layout().ipa_bits,
                              .vm_id = id_,
                              .index = i,
                              .power = &*power_,
                              .interrupts = this,
                              .sve = sve_ != nullptr ? sve_ + i : nullptr,
                              .sve_bits = config_.sve_bits,
                              .mte = config_.mte,
                              .psci = environment.psci,
                              .services = {.entropy = environment.entropy,
                                           .stolen_time_ipa = stolen_time_.ipa + i * sizeof(StolenTimeRecord)},
                              .smc_filter = SmcFilter{config_.smc_allowed()}});
        !set) {
      return set;
    }
    if (const Result<> root = slot.vcpu->set_ept_root({memory_->vttbr().raw, memory_->layout().vtcr().raw}); !root) {
      return root;
    }
    struct Link {
      std::uint32_t guest, physical;
    };
    for (const Link& link : {Link{guest_machine::kVirtualTimerIntid, environment.virtual_timer_intid},
                             Link{guest_machine::kPhysicalTimerIntid, environment.physical_timer_intid},
                             Link{guest_machine::kPmuIntid, slot.vcpu->has_pmu() ? environment.pmu_intid : 0}}) {
      if (link.physical == 0) continue;
      if (const Result<> linked = vgic_->link_physical(i, link.guest, static_cast<std::uint16_t>(link.physical));
          !linked) {
        return linked;
      }
    }
  }
  vgic_->publish(published_);
  has_uart_flags_ = published_.reserve(guest_machine::kUart.base + static_cast<unsigned>(pl011::Reg::FR),
                                       AccessWidth::word, uart_flags_);
  if (has_uart_flags_) {
    uart_.publish_flags(&uart_flags_);
    uart_flags_.show();
  }
  for (unsigned i = 0; i < vcpu_count_; ++i) {
    DirectInterrupts& direct = vgic_->direct(i);
    if (const std::uint64_t aff0 = guest_machine::affinity_of(i) & 0xFF; aff0 < peers_.by_aff0.size()) {
      if (peers_.by_aff0[aff0] == nullptr) peers_.by_aff0[aff0] = &direct;
    }
    // The vector writes list registers, and acknowledges, by system registers only.
    const bool is_v2 = environment.gic_version == 2;
    slots_[i].vcpu->set_vector_answers(&published_, is_v2 ? nullptr : &direct, &peers_);
  }
  if (const Result<> loaded = load(); !loaded) return loaded;
  if (const auto found = doctor_.preflight()) {
    fail("AV{:04}, found before the first entry; the VM is not started", static_cast<std::uint64_t>(*found));
  }
  return {};
}

Result<> Vm::map(const Backing& range, const stage2::Attributes& attributes) noexcept {
  const Result<> mapped = memory_->map(range.ipa, range.pa, range.bytes, attributes);
  if (mapped) {
    trace_area::record({.far = range.ipa,
                        .hpfar = range.pa,
                        .data = range.bytes,
                        .vm = static_cast<std::uint8_t>(id_),
                        .kind = trace::Kind::stage2_map});
  }
  return mapped;
}

Result<> Vm::map_memory() noexcept {
  VmEnvironment& environment = *environment_;
  const CpuIdentity& cpu = environment.capabilities.id;
  const Result<stage2::Layout> layout = stage2::layout_for(
      ipa_bits_of(config_), IdAa64Mmfr0::from(cpu.id_aa64mmfr0_el1), IdAa64Mmfr1::from(cpu.id_aa64mmfr1_el1));
  if (!layout) return std::unexpected(layout.error());
  // One VM, one VMID, for all of its lives: there are at most kMaxVms of them.
  Result<GuestMemory> memory =
      GuestMemory::create(*layout, environment.tables, environment.tlb, static_cast<std::uint16_t>(id_ + 1));
  if (!memory) return std::unexpected(memory.error());
  memory_.emplace(std::move(*memory));

  const Result<Range> ram = memory::allocate_guest_ram(config_.memory_bytes);
  if (!ram) return std::unexpected(ram.error());
  ram_ = {guest_machine::kRamBase, ram->base, config_.memory_bytes};
  executable_[0] = {ram_.ipa, ram_.ipa + ram_.bytes};
  if (const Result<> mapped = map(ram_, stage2::kGuestRam); !mapped) return mapped;
  if (const Result<> mapped = map_stolen_time(); !mapped) return mapped;
  if (environment.gic_version == 2) {
    gicv_ = {guest_machine::kGicc.base, environment.gicv, arm_vcpu::gic::kGicV2CpuInterfaceBytes};
    if (const Result<> mapped = map(gicv_, stage2::kGuestDevice); !mapped) return mapped;
  }
  if (config_.kernel) return {};

  return map_flash();
}

void Vm::clear(const Range& range) const noexcept {
  if (!config_.mte) return memory::zero_past_caches(range);
  memory::zero_with_tags(range);
  clean(range);
}

void Vm::clean(const Range& range) const noexcept {
  config_.mte ? el2::dc_cigdvac_range(range.base, range.bytes) : el2::dc_civac_range(range.base, range.bytes);
}

// One page for all vCPUs. [pvtime] "Stolen time": Normal memory that the guest cannot write.
Result<> Vm::map_stolen_time() noexcept {
  static_assert(kMaxVcpus * sizeof(StolenTimeRecord) <= guest_machine::kStolenTime.bytes);
  if (stolen_time_.bytes != 0) return map(stolen_time_, {.write = false, .execute = false});  // a life before had it
  const Result<Range> page = memory::allocate(guest_machine::kStolenTime.bytes, stage2::kPageBytes);
  if (!page) return std::unexpected(page.error());
  clear(*page);
  stolen_time_ = {guest_machine::kStolenTime.base, page->base, page->bytes};
  auto* const records = reinterpret_cast<StolenTimeRecord*>(stolen_time_.pa);
  for (unsigned i = 0; i < vcpu_count_; ++i) slots_[i].stolen_time = StolenTime{&records[i], el2::counter_hz()};
  return map(stolen_time_, {.write = false, .execute = false});
}

Result<> Vm::allocate_sve(const Capabilities& caps) noexcept {
  if (!caps.sve() || config_.sve_bits == 0) return {};
  const Result<Range> memory =
      memory::allocate(bits::align_up(vcpu_count_ * sizeof(SveState), stage2::kPageBytes), stage2::kPageBytes);
  if (!memory) return std::unexpected(memory.error());
  sve_ = reinterpret_cast<SveState*>(memory->base);  // setup() gives it its content
  return {};
}

// Two banks, as `virt` has them: the firmware, and behind it and in the second bank one erased block over and over.
// Reads never exit; writes do, and change nothing.
Result<> Vm::map_flash() noexcept {
  const std::uint64_t flash_bytes = bits::align_up(config_.boot_file.size(), kBlock2M);
  const Result<Range> flash = memory::allocate(flash_bytes, kBlock2M);
  if (!flash) return std::unexpected(flash.error());
  flash_ = {guest_machine::kFlash.base, flash->base, flash_bytes};
  executable_[1] = {flash_.ipa, flash_.ipa + flash_.bytes};
  if (const Result<> mapped = map(flash_, stage2::kGuestRom); !mapped) return mapped;
  const Result<Range> erased = memory::allocate(kBlock2M, kBlock2M);
  if (!erased) return std::unexpected(erased.error());
  erased_ = {flash_.ipa + flash_.bytes, erased->base, erased->bytes};
  if (config_.mte) clear(*erased);
  std::memset(reinterpret_cast<void*>(erased->base), 0xFF, erased->bytes);
  clean(*erased);
  for (std::uint64_t ipa = flash_.ipa + flash_.bytes; ipa < guest_machine::kFlash1.end(); ipa += kBlock2M) {
    if (const Result<> mapped = map({ipa, erased->base, kBlock2M}, stage2::kGuestRom); !mapped) return mapped;
  }
  return {};
}

// Gives all memory back. No CPU runs the VM.
void Vm::release_memory() noexcept {
  memory_->destroy();  // with the TLB maintenance for its VMID
  memory_.reset();
  for (Backing* range : {&ram_, &flash_, &erased_}) {
    if (range->bytes != 0) memory::free({range->pa, range->bytes});
    *range = {};
  }
}

// A new life in other memory, as after a power-off: what a reset does, and nothing is kept but the devices' places.
Result<> Vm::rebuild() noexcept {
  release_memory();
  if (const Result<> mapped = map_memory(); !mapped) return mapped;
  for (unsigned i = 0; i < vcpu_count_; ++i) {
    if (const Result<> root = slots_[i].vcpu->set_ept_root({memory_->vttbr().raw, memory_->layout().vtcr().raw});
        !root) {
      return root;
    }
  }
  const Result<> loaded = load();
  if (loaded) describe(trace_area::header()->vms[id_]);
  return loaded;
}

Result<> Vm::add_scratch_device() noexcept {
  if (!config_.scratch_device) return {};
  const Result<Range> memory = memory::allocate(guest_machine::kScratch.bytes, stage2::kPageBytes);
  if (!memory) return std::unexpected(memory.error());
  memory::zero(*memory);
  scratch_ = ScratchDevice{{reinterpret_cast<std::byte*>(memory->base), memory->bytes}};
  return bus_.add({.base = guest_machine::kScratch.base,
                   .size = guest_machine::kScratch.bytes,
                   .name = "scratch@a000000",
                   .device = &scratch_});
}

Result<> Vm::create_interrupt_controller(const Capabilities& caps) noexcept {
  std::array<std::uint64_t, kMaxVcpus> affinities{};
  for (unsigned i = 0; i < vcpu_count_; ++i) affinities[i] = guest_machine::affinity_of(i);
  Result<Vgic> vgic = Vgic::create({.version = environment_->gic_version,
                                    .gicd_base = guest_machine::kGicd.base,
                                    .gicr_base = guest_machine::kGicr.base,
                                    .gicc_base = guest_machine::kGicc.base,
                                    .affinities = std::span{affinities}.first(vcpu_count_),
                                    .vtr = arm_vcpu::gic::IchVtr::from(caps.id.ich_vtr_el2)},
                                   std::span{vgic_cpus_}.first(vcpu_count_), vgic_spis_);
  if (!vgic) return std::unexpected(vgic.error());
  vgic_.emplace(std::move(*vgic));
  return {};
}

// Fills the guest's memory as at power-on. No CPU runs the VM.
Result<> Vm::load() noexcept {
  const GuestFiles files{.ramdisk_bytes = config_.ramdisk.size(), .dtb_bytes = kGuestFdtBytes};
  const IpaRange ram{ram_.ipa, ram_.bytes};
  const Result<GuestLayout> layout =
      config_.kernel ? plan_guest(ram, *config_.kernel, files) : plan_firmware(ram, config_.boot_file.size(), files);
  if (!layout) return std::unexpected(layout.error());
  layout_ = *layout;

  // The guest starts with its caches off, so all of it must be in memory, zeroes too: what the host's caches hold would
  // otherwise come out later, over what the guest wrote. [armarm] "Behavior of caches at reset"
  clear({ram_.pa, ram_.bytes});
  const auto place = [this](const IpaRange& where, std::span<const std::byte> file) noexcept {
    copy(ram_.at(where.base), file);
    clean({ram_.pa + (where.base - ram_.ipa), file.size()});
  };
  if (config_.kernel) {
    place(layout_.kernel, config_.boot_file);
  } else {
    // Erased flash reads as ones; the memory behind it may have tags that another VM has left.
    if (config_.mte) clear({flash_.pa, flash_.bytes});
    std::memset(flash_.at(flash_.ipa), 0xFF, flash_.bytes);
    copy(flash_.at(flash_.ipa), config_.boot_file);
  }
  if (!config_.ramdisk.empty()) place(layout_.ramdisk, config_.ramdisk);
  GuestFdtConfig fdt{.ram = ram,
                     .cpus = vcpu_count_,
                     .gic_version = environment_->gic_version,
                     .cpu_compatible = cpu_compatible_of(VCPU_READ_SYSREG(midr_el1)),
                     .bootargs = config_.bootargs,
                     .pmu = slots_[0].vcpu->has_pmu(),
                     .ramdisk = layout_.ramdisk};
  if (const Result<std::size_t> written = write_guest_fdt({ram_.at(layout_.dtb.base), kGuestFdtBytes}, fdt); !written) {
    return std::unexpected(written.error());
  }
  clean({ram_.pa + (layout_.dtb.base - ram_.ipa), kGuestFdtBytes});
  if (flash_.bytes != 0) clean({flash_.pa, flash_.bytes});
  el2::ic_ialluis();

  doctor_.forget();
  doctor_.learn_configuration();
  vgic_->reset();
  uart_.reset();
  power_->reset(0);
  for (unsigned i = 0; i < vcpu_count_; ++i) {
    slots_[i].stolen_time.reset();
    slots_[i].watch.reset();
  }
  return slots_[0].vcpu->reset(layout_.entry, layout_.dtb.base);
}

Result<> Vm::inject(unsigned vcpu_index, std::uint32_t intid) noexcept {
  VgicCpuMask mask{};
  {
    const LockGuard guard{lock_};
    const Result<VgicCpuMask> injected = vgic_->inject(vcpu_index, intid);
    if (!injected) return std::unexpected(injected.error());
    mask = *injected;
  }
  kick(mask, kMaxVcpus);
  return {};
}

void VmUartHost::transmit(std::uint8_t character) noexcept {
  const char c = static_cast<char>(character);
  // The vCPU that writes may go to sleep in the guest: its CPU shows an unfinished line then.
  if (const auto due = console::write(vm_.id_, {&c, 1})) this_cpu_loop().look_by(*due);
}

// The lock is held: the UART is called under it only.
void VmUartHost::set_irq(bool level) noexcept {
  vm_.raised_ |= vm_.vgic_->set_spi_level(guest_machine::kUartIntid, level).value_or(0);
}

bool VmUartHost::irq_enabled() const noexcept {
  constexpr std::uint64_t kIsenabler = 0x100;
  const std::uint64_t ipa = guest_machine::kGicd.base + kIsenabler + guest_machine::kUartIntid / 32 * 4;
  return (vm_.vgic_->mmio_read(0, ipa, AccessWidth::word).value >> (guest_machine::kUartIntid % 32) & 1) != 0;
}

void Vm::pump_input() noexcept {
  if (!console::has_input(id_)) return;
  VgicCpuMask raised{};
  {
    const LockGuard guard{lock_};
    if (state() != State::running) return;
    while (uart_.can_receive()) {
      const std::optional<char> byte = console::read(id_);
      if (!byte) break;
      uart_.receive(static_cast<std::uint8_t>(*byte));
    }
    // While input waits, the UART has to see who looks for it.
    if (has_uart_flags_) {
      if (console::has_input(id_)) {
        uart_flags_.hide();
      } else {
        uart_flags_.show();
      }
    }
    raised = std::exchange(raised_, 0);
  }
  kick(raised, kMaxVcpus);
}

}  // namespace arm_vcpu::hv
