// SPDX-License-Identifier: Apache-2.0
#include "arm_vcpu/vcpu.hpp"

#include <utility>

#include "arm_vcpu/decode.hpp"
#include "vcpu/exit_path.hpp"
#include "vcpu/hw.hpp"
#include "vcpu/recorder.hpp"
#include "vcpu/stage2_root.hpp"

namespace arm_vcpu {
namespace {

// Trapped, and why: the guest's SMCs must not reach the firmware (TSC); WFI gives the CPU back (TWI), unless the guest
// has it to itself; ID registers are
// sanitised (TID3, and TID1 and TID5 for those outside that group); ACTLR_EL1, LORegions, IMPLEMENTATION DEFINED
// registers and RAS records are not virtualised (TACR, TLOR, TIDCP, TERR);
// maintenance by set and way concerns other CPUs' caches too (TSW). FB and BSU widen the guest's maintenance to
// the Inner Shareable domain, so that a vCPU may move between CPUs. Allocation tags are the guest's (ATA), or nobody's.
Hcr guest_hcr(const Aarch64VCpuSetupConfig& config, const Capabilities& caps, bool has_mte) noexcept {
  Hcr hcr = Hcr{}
                .with<Hcr::VM>(true)
                .with<Hcr::SWIO>(true)
                .with<Hcr::AMO>(true)
                .with<Hcr::FB>(true)
                .with<Hcr::BSU>(1)
                .with<Hcr::TWI>(!config.sleeps_in_guest)
                .with<Hcr::TID1>(true)
                .with<Hcr::TID3>(true)
                .with<Hcr::TSC>(true)
                .with<Hcr::TIDCP>(true)
                .with<Hcr::TACR>(true)
                .with<Hcr::TSW>(true)
                .with<Hcr::TLOR>(true)
                .with<Hcr::RW>(true);
  if (!config.passthrough_interrupt) {
    hcr = hcr.with<Hcr::IMO>(true).with<Hcr::FMO>(true);
  }
  if (caps.pauth()) {
    hcr = hcr.with<Hcr::APK>(true).with<Hcr::API>(true);
  }
  if (caps.ras()) {
    hcr = hcr.with<Hcr::TERR>(true);
  }
  if (caps.scxtnum()) {
    hcr = hcr.with<Hcr::EnSCXT>(true);
  }
  if (caps.mte()) {
    hcr = hcr.with<Hcr::ATA>(has_mte).with<Hcr::TID5>(!has_mte);
  }
  return hcr;
}

// SME, trace and activity monitors are hidden; FP and SVE are enabled when the guest first uses them.
Cptr guest_cptr(const Capabilities& caps) noexcept {
  Cptr cptr = Cptr::from(Cptr::kRes1).with<Cptr::TZ>(true).with<Cptr::TSM>(true).with<Cptr::TTA>(true);
  if (caps.fp()) {
    cptr = cptr.with<Cptr::TFP>(true);
  }
  return cptr;
}

// ZCR_EL2.LEN: vector length in units of 128 bits, minus one.
constexpr std::uint64_t zcr_of(unsigned bits) noexcept {
  return bits / 128 - 1;
}

// The debug registers are virtual, all of them: DebugRegisters answers. The performance monitors are hidden, or come
// when the guest first touches them, and then do not count EL2. The profiling and trace buffers and the trace filter
// are hidden.
Mdcr guest_mdcr(const Capabilities& caps) noexcept {
  constexpr std::uint8_t kHasHpmd = 4;  // FEAT_PMUv3p1
  constexpr std::uint8_t kHasHccd = 6;  // FEAT_PMUv3p5
  const std::uint8_t version =
      caps.pmu() ? IdAa64Dfr0::from(caps.id.id_aa64dfr0_el1).get<IdAa64Dfr0::PMUVer>() : std::uint8_t{0};
  return Mdcr{}
      .with<Mdcr::TPM>(true)
      .with<Mdcr::TPMCR>(true)
      .with<Mdcr::TPMS>(true)
      .with<Mdcr::TTRF>(true)
      .with<Mdcr::TDA>(true)
      .with<Mdcr::TDRA>(true)
      .with<Mdcr::TDOSA>(true)
      .with<Mdcr::HPMD>(version >= kHasHpmd)
      .with<Mdcr::HCCD>(version >= kHasHccd);
}

}  // namespace

Result<Aarch64VCpu> Aarch64VCpu::create(const Aarch64VCpuCreateConfig& config) noexcept {
  if ((config.mpidr_el1 & ~kMpidrAffinityMask) != 0) {
    return fail(Errc::bad_mpidr, config.mpidr_el1, kMpidrAffinityMask);
  }
  Aarch64VCpu vcpu;
  vcpu.config_ = config;
  return vcpu;
}

Result<> Aarch64VCpu::setup(const Aarch64VCpuSetupConfig& config) noexcept {
  if (cpu_ != nullptr) {
    return fail(Errc::already_bound);
  }
  const Capabilities caps = probe();
  const Requirements wanted{.ipa_bits = config.ipa_bits != 0 ? config.ipa_bits : Requirements{}.ipa_bits,
                            .virtual_gic = !config.passthrough_interrupt};
  if (const Result<> supported = check_hardware_support(caps, wanted); !supported) {
    return supported;
  }
  if (config.sve != nullptr && (config.sve_bits == 0 || config.sve_bits % 128 != 0 || config.sve_bits > kMaxSveBits)) {
    return fail(Errc::bad_sve_length, config.sve_bits, kMaxSveBits);
  }
  setup_ = config;
  if (!caps.sve()) {
    setup_.sve = nullptr;
  }
  setup_.psci.stolen_time = config.services.stolen_time_ipa != 0;
  trace_tag = recorder::tag_of(config.vm_id, config.index, TrapKind::sync, trace::Outcome::handled);
  for (const TrapKind trap : {TrapKind::sync, TrapKind::irq}) {
    answer_tag[static_cast<unsigned>(trap)] =
        recorder::tag_of(config.vm_id, config.index, trap, trace::Outcome::answered);
  }
  capabilities_ = caps;
  has_pmu_ = config.pmu && caps.pmu();
  has_fp_ = caps.fp();
  // Without fine-grained traps nothing keeps the guest from TPIDR2_EL0, so it gets one of its own.
  groups_ = GuestRegisterGroups{}
                .with(SysRegGroup::cntp, config.passthrough_timer)
                .with(SysRegGroup::pauth, caps.pauth())
                .with(SysRegGroup::scxtnum, caps.scxtnum())
                .with(SysRegGroup::tpidr2, caps.sme() && !caps.fgt())
                .with(SysRegGroup::mte, config.mte && caps.mte());
  const GuestIdLimits shown{.ipa_bits = config.ipa_bits != 0 ? config.ipa_bits : caps.pa_bits(),
                            .pmu = has_pmu_,
                            .sve = has_sve(),
                            .mte = has_mte(),
                            .gic_system_registers = !caps.id.has_gich};
  for (unsigned i = 0; i < id_registers_.size(); ++i) {
    const SysRegId id = id_register_at(i);
    id_registers_[i] = sanitise(id, hw::read_id_register(id), shown);
  }
  VCpuContext::id_registers = id_registers_.data();
  debug_.configure(IdAa64Dfr0::from(ExitPath::id_register(*this, sysreg::ID_AA64DFR0_EL1)));
  is_set_up_ = true;
  vectors_are_zero_ = false;
  reset_registers();
  return {};
}

void Aarch64VCpu::reset_registers() noexcept {
  const std::uint64_t vttbr = registers_.vttbr_el2;
  const std::uint64_t vtcr = registers_.vtcr_el2;
  registers_ = GuestSystemRegisters{};
  registers_.vttbr_el2 = vttbr;
  registers_.vtcr_el2 = vtcr;
  registers_.hcr_el2 = guest_hcr(setup_, capabilities_, has_mte()).raw;
  registers_.cptr_el2 = guest_cptr(capabilities_).raw;
  registers_.mdcr_el2 = guest_mdcr(capabilities_).raw;
  registers_.vpidr_el2 = capabilities_.id.midr_el1;
  registers_.vmpidr_el2 = config_.mpidr_el1 | kMpidrRes1;
  registers_.cntvoff_el2 = setup_.cntvoff_el2;
  registers_.cnthctl_el2 = Cnthctl{}.with<Cnthctl::EL1PCTEN>(true).with<Cnthctl::EL1PCEN>(setup_.passthrough_timer).raw;
  registers_.sctlr_el1 = SctlrEl1::kReset;
  frame = TrapFrame{};
  frame.gpr[0] = config_.dtb_addr;
  frame.spsr =
      Spsr{}.with<Spsr::M>(kModeEl1h).with<Spsr::D>(true).with<Spsr::A>(true).with<Spsr::I>(true).with<Spsr::F>(true);
  frame.elr = entry_.value_or(0);
  debug_.reset();
  if (pmu_was_loaded_) {
    pmu_ = PmuState{};
    pmu_was_loaded_ = false;
  }
  if (!vectors_are_zero_) {  // kilobytes, and most vCPUs that are turned on are new
    fp_ = FpSimdState{};
    if (has_sve()) {
      *setup_.sve = SveState{};
    }
    vectors_are_zero_ = true;
  }
  vectors_come_ = 0;
  sve_lengths_ = 0;
  set_way_sweep_.reset();
  if (fp_cpu_ != nullptr) {
    // What is live belongs to the life before the reset.
    fp_cpu_->fp_owner_ = nullptr;
    fp_cpu_ = nullptr;
  }
  drop_access();
  emulated_ = {};
  refused = {};
  plain_on_ = nullptr;
}

Result<> Aarch64VCpu::reset(std::uint64_t entry_ipa, std::uint64_t argument) noexcept {
  if (!is_set_up_) {
    return fail(Errc::not_set_up);
  }
  if (cpu_ != nullptr) {
    return fail(Errc::already_bound);
  }
  if (const Result<> entry = set_entry(entry_ipa); !entry) {
    return entry;
  }
  reset_registers();
  frame.gpr[0] = argument;
  return {};
}

Result<> Aarch64VCpu::set_entry(std::uint64_t ipa) noexcept {
  const std::uint64_t limit = has_root_ ? stage2_limit(registers_.vtcr_el2) : bits::mask(51, 0);
  if (!bits::aligned(ipa, 4) || ipa > limit) {
    return fail(Errc::bad_entry, ipa, limit);
  }
  entry_ = ipa;
  frame.elr = ipa;
  return {};
}

Result<> Aarch64VCpu::set_ept_root(Stage2Root root) noexcept {
  if (cpu_ != nullptr) {
    return fail(Errc::already_bound);
  }
  if (const Result<> valid = check_stage2_root(root, is_set_up_ ? capabilities_ : probe()); !valid) {
    return valid;
  }
  registers_.vttbr_el2 = root.vttbr_el2;
  registers_.vtcr_el2 = root.vtcr_el2;
  has_root_ = true;
  plain_on_ = nullptr;
  return {};
}

// No stack guard: the keys' arrays are members, and of fixed length. It is in the way of every switch.
[[gnu::no_stack_protector]] Result<> Aarch64VCpu::bind(Aarch64PerCpu& cpu) noexcept {
  if (!cpu.is_enabled()) {
    return fail(Errc::cpu_not_enabled);
  }
  if (!is_set_up_) {
    return fail(Errc::not_set_up);
  }
  if (!has_root_) {
    return fail(Errc::no_stage2_root);
  }
  if (!entry_) {
    return fail(Errc::no_entry);
  }
  if (cpu_ != nullptr || cpu.current_ != nullptr) {
    return fail(Errc::already_bound);
  }
  if (fp_cpu_ != nullptr && fp_cpu_ != &cpu) {
    return fail(Errc::fp_state_elsewhere, cpu.index(), fp_cpu_->index());
  }
  if (has_sve()) {
    // The same limit must mean the same lengths, or what was saved with one would be loaded with another.
    const std::uint32_t lengths =
        cpu.sve_lengths() & static_cast<std::uint32_t>(bits::mask(setup_.sve_bits / 128 - 1, 0));
    if (sve_lengths_ != 0 && lengths != sve_lengths_) {
      return fail(Errc::sve_lengths_differ, lengths, sve_lengths_);
    }
    sve_lengths_ = lengths;
  }
  cpu_ = &cpu;
  if (vectors_come_ != 0) bring_vectors(cpu);
  pmu_is_live_ = has_pmu_ && pmu_.in_use();
  // HPMN stays the host's, which so decides how many counters guests get: 0 is CONSTRAINED UNPREDICTABLE without
  // FEAT_HPMN0.
  registers_.mdcr_el2 = Mdcr::from(registers_.mdcr_el2)
                            .with<Mdcr::HPMN>(Mdcr::from(cpu.host_mdcr_el2_).get<Mdcr::HPMN>())
                            .with<Mdcr::TPM>(!pmu_is_live_)
                            .with<Mdcr::TPMCR>(!pmu_is_live_)
                            .raw;
  registers_.mdscr_el1 = debug_.hardware_mdscr();
  const bool pauth = groups_.has(SysRegGroup::pauth);
  swap_ia_key = pauth && hw::host_uses_ia_key() ? 1 : 0;
  groups_ = groups_.with(SysRegGroup::pauth_ia, pauth && swap_ia_key == 0);
  registers_.restore(groups_);
  if (debug_.in_use()) {
    hw::load_debug(debug_);
    choose_vectors();
  }
  if (pmu_is_live_) {
    hw::load_pmu(pmu_, pmu_counters());
  }
  if (swap_ia_key != 0) {
    guest_ia_key[0] = registers_.apiakeylo_el1;
    guest_ia_key[1] = registers_.apiakeyhi_el1;
    hw::read_ia_key(host_ia_key);
  }
  note_plain();
  cpu.current_ = this;
  trace_cursor = cpu.trace_ != nullptr ? cpu.trace_->cursor() : trace::RingCursor{};
  recorder::event(*this, trace::Kind::vcpu_scheduled, frame.elr, 0);
  // No ISB here: the ERET that enters the guest is a context synchronization event.
  return {};
}

Result<> Aarch64VCpu::unbind(Next next) noexcept {
  if (cpu_ == nullptr) {
    return fail(Errc::not_bound);
  }
  recorder::end_returned(*this);
  refresh_system_registers();
  trace_cursor = {};
  if (pmu_is_live_) {
    hw::save_pmu(pmu_, pmu_counters());
    pmu_is_live_ = false;
    if (!pmu_.in_use()) note_plain();
  }
  if (debug_.in_use()) {
    if (has_plain_vectors_) {
      hw::use_vectors(cpu_->vectors_);
      has_plain_vectors_ = false;
    }
    hw::write_mdscr(0);  // nothing of the guest's may hit the host, whose MDCR_EL2.TDE may be 1
  }
  if (next == Next::host) {
    hw::restore_host_traps(cpu_->host_hcr_el2_, cpu_->host_cptr_el2_, cpu_->host_mdcr_el2_);
  }
  cpu_->current_ = nullptr;
  cpu_ = nullptr;
  return {};
}

void Aarch64VCpu::note_plain() noexcept {
  plain_on_ = !debug_.in_use() && !pmu_is_live_ ? cpu_ : nullptr;
}

void Aarch64VCpu::refresh_system_registers() noexcept {
  if (cpu_ == nullptr) {
    return;
  }
  registers_.store(groups_);
  keep_ia_key();
}

std::uint64_t Aarch64VCpu::cptr_when(bool owns_vectors) const noexcept {
  return Cptr::from(registers_.cptr_el2)
      .with<Cptr::TFP>(has_fp_ && !owns_vectors)
      .with<Cptr::TZ>(!(has_sve() && owns_vectors))
      .raw;
}

void Aarch64VCpu::sleep_in_guest(bool sleeps) noexcept {
  setup_.sleeps_in_guest = sleeps;
  registers_.hcr_el2 = Hcr::from(registers_.hcr_el2).with<Hcr::TWI>(!sleeps).raw;
}

bool Aarch64VCpu::is_behind_wfi() const noexcept {
  constexpr std::uint32_t kWfi = 0xD503'207F;
  constexpr std::uint32_t kWfit = 0xD503'1020;  // and Rt
  if (cpu_ == nullptr || frame.spsr.get<Spsr::nRW>()) {
    return false;
  }
  const auto word = hw::fetch_guest(frame.elr - 4);
  return word && (*word == kWfi || (*word & ~std::uint32_t{0x1F}) == kWfit);
}

void Aarch64VCpu::trap_memory_registers(bool trap) noexcept {
  registers_.hcr_el2 = Hcr::from(registers_.hcr_el2).with<Hcr::TVM>(trap).raw;
  hw::trap_memory_registers(trap);
}

void Aarch64VCpu::save_vectors() noexcept {
  if (has_sve()) {
    hw::save_sve(*setup_.sve, fp_);
  } else {
    hw::save_fp(fp_);
  }
}

void Aarch64VCpu::load_vectors() noexcept {
  vectors_are_zero_ = false;
  if (has_sve()) {
    hw::load_sve(*setup_.sve, fp_, zcr_of(setup_.sve_bits));
  } else {
    hw::load_fp(fp_);
  }
}

// The CPU's FP registers become this vCPU's. CPTR_EL2 of the CPU stays open.
void Aarch64VCpu::take_vectors(Aarch64PerCpu& cpu) noexcept {
  Aarch64VCpu* const owner = cpu.fp_owner_;
  (void)hw::open_vectors(has_sve() || (owner != nullptr && owner->has_sve()));
  if (owner != nullptr) {
    owner->save_vectors();
    owner->fp_cpu_ = nullptr;
    owner->registers_.cptr_el2 = owner->cptr_when(false);  // what bind() and hand_over() go by
  }
  load_vectors();
  cpu.fp_owner_ = this;
  fp_cpu_ = &cpu;
  registers_.cptr_el2 = cptr_when(true);
}

// The first use since somebody else had them.
void Aarch64VCpu::claim_fp() noexcept {
  // [ADR] docs/adr/0024-fp-comes-along.md
  constexpr std::uint8_t kTimes = 16;
  if (cpu_->fp_owner_ != this) {
    take_vectors(*cpu_);
    vectors_come_ = kTimes;
  }
  hw::close_vectors(registers_.cptr_el2);
}

// Before the control registers are written.
void Aarch64VCpu::bring_vectors(Aarch64PerCpu& cpu) noexcept {
  --vectors_come_;
  if (cpu.fp_owner_ != this) take_vectors(cpu);
}

void Aarch64VCpu::release_fp(Aarch64PerCpu& cpu) noexcept {
  if (cpu.fp_owner_ != this) {
    return;
  }
  const std::uint64_t before = hw::open_vectors(has_sve());
  save_vectors();
  cpu.fp_owner_ = nullptr;
  fp_cpu_ = nullptr;
  registers_.cptr_el2 = cptr_when(false);
  hw::close_vectors(cpu_ == &cpu ? registers_.cptr_el2 : before);
}

unsigned Aarch64VCpu::pmu_counters() const noexcept {
  return static_cast<unsigned>(Mdcr::from(registers_.mdcr_el2).get<Mdcr::HPMN>());
}

// The guest's first access to its performance monitors since bind(). False: it has none, or they are there already.
bool Aarch64VCpu::claim_pmu() noexcept {
  if (!has_pmu_ || pmu_is_live_) {
    return false;
  }
  hw::load_pmu(pmu_, pmu_counters());
  registers_.mdcr_el2 = Mdcr::from(registers_.mdcr_el2).with<Mdcr::TPM>(false).with<Mdcr::TPMCR>(false).raw;
  hw::write_mdcr(registers_.mdcr_el2);
  pmu_is_live_ = true;
  pmu_was_loaded_ = true;
  note_plain();
  return true;
}

// An answer of the vector does not end a single step (SPSR_EL2.SS stays), vmexit_handler() does. So while the guest
// steps nothing is answered at the vector, and while it does not the vector need not look.
void Aarch64VCpu::choose_vectors() noexcept {
  if (debug_.steps() != has_plain_vectors_) {
    has_plain_vectors_ = debug_.steps();
    hw::use_vectors(has_plain_vectors_ ? Vectors::plain : cpu_->vectors_);
  }
}

// After the guest changed its debug registers.
void Aarch64VCpu::apply_debug() noexcept {
  if (debug_.in_use()) {
    hw::load_debug(debug_);
  }
  choose_vectors();
  note_plain();
  registers_.mdscr_el1 = debug_.hardware_mdscr();
  hw::write_mdscr(registers_.mdscr_el1);
}

Result<> Aarch64VCpu::run(const AxVCpuExitReason*& reason) noexcept {
  Aarch64PerCpu* const cpu = cpu_;
  reason = &exit_;
  if (cpu == nullptr) {
    return fail(Errc::not_bound);
  }
  if (emulated_.active && resume_emulation()) [[unlikely]] {
    return {};
  }
  pending_ = {};
  recorder::end_returned(*this);
  hw::arm_vcpu_enter_guest(this);
  reason = &cpu->current_->exit_;
  return {};
}

void Aarch64VCpu::refuse_hypercall() noexcept {
  refused = {.function = frame.gpr[0], .pc = frame.elr};
  if (const auto* call = exit_.get_if<AxVCpuExitReason::Hypercall>(); call == nullptr || call->imm != 0) {
    refused = {};
  }
  set_return_value(~std::uint64_t{0});
}

void Aarch64VCpu::record(const trace::Record& event) noexcept {
  recorder::event(*this, event);
}

void Aarch64VCpu::record(trace::Kind event, std::uint64_t pc, std::uint64_t data, std::uint64_t data1,
                         std::uint64_t data2) noexcept {
  recorder::event(*this, event, pc, data, data1, data2);
}

void Aarch64VCpu::abandon_exit() noexcept {
  recorder::set_outcome(*this, trace::Outcome::failed);
}

Result<> Aarch64VCpu::take_pending(PendingAccess::Kind wanted) noexcept {
  if (pending_.kind != wanted) {
    return fail(Errc::no_access_pending, 0, static_cast<std::uint64_t>(kind_of(exit_)));
  }
  pending_.kind = PendingAccess::Kind::none;
  ExitPath::advance(*this);
  return {};
}

Result<> Aarch64VCpu::complete_mmio_read(std::uint64_t value) noexcept {
  if (answer_emulated(PendingAccess::Kind::mmio_read, value)) {
    return {};
  }
  if (const Result<> taken = take_pending(PendingAccess::Kind::mmio_read); !taken) {
    return taken;
  }
  frame.set_gpr(pending_.reg,
                extend_load(value, pending_.width, pending_.signed_ext, pending_.reg_width == AccessWidth::doubleword));
  return {};
}

Result<> Aarch64VCpu::complete_mmio_write() noexcept {
  if (answer_emulated(PendingAccess::Kind::mmio_write, 0)) {
    return {};
  }
  return take_pending(PendingAccess::Kind::mmio_write);
}

Result<> Aarch64VCpu::complete_sysreg_read(std::uint64_t value) noexcept {
  const bool is_pair = pending_.kind == PendingAccess::Kind::sysreg_read_pair;
  if (const Result<> taken =
          take_pending(is_pair ? PendingAccess::Kind::sysreg_read_pair : PendingAccess::Kind::sysreg_read);
      !taken) {
    return taken;
  }
  if (is_pair) {
    frame.set_gpr(pending_.reg, truncate(value, AccessWidth::word));
    frame.set_gpr(pending_.reg2, value >> 32);
  } else {
    frame.set_gpr(pending_.reg, truncate(value, pending_.width));
  }
  return {};
}

Result<> Aarch64VCpu::complete_sysreg_write() noexcept {
  return take_pending(PendingAccess::Kind::sysreg_write);
}

Result<> Aarch64VCpu::set_gpr(unsigned index, std::uint64_t value) noexcept {
  if (index > 30) {
    return fail(Errc::bad_register, index, 30);
  }
  frame.gpr[index] = value;
  return {};
}

}  // namespace arm_vcpu
