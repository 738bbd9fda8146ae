// SPDX-License-Identifier: Apache-2.0
// The vCPU's seam (vcpu/hw.hpp) with instructions.
#include <cstddef>

#include "arm_vcpu/el2/gic_v2.hpp"
#include "arm_vcpu/el2/sysreg.hpp"
#include "el2/context_asm.h"
#include "vcpu/hw.hpp"

extern "C" {
extern const char arm_vcpu_vectors[];
extern const char arm_vcpu_plain_vectors[];
void arm_vcpu_save_fp(arm_vcpu::FpSimdState* state) noexcept;
void arm_vcpu_load_fp(const arm_vcpu::FpSimdState* state) noexcept;
void arm_vcpu_save_sve(std::byte* registers, std::uint64_t* fpsr_fpcr) noexcept;
void arm_vcpu_load_sve(const std::byte* registers, const std::uint64_t* fpsr_fpcr) noexcept;
std::uint64_t arm_vcpu_sve_lengths() noexcept;
}

namespace arm_vcpu {

// VCpuContext derives from ExitFrame; offsetof is conditionally supported for it, and both compilers support it.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Winvalid-offsetof"
static_assert(offsetof(VCpuContext, frame.gpr) == VCPU_CTX_X0);
static_assert(offsetof(VCpuContext, frame.sp_el0) == VCPU_CTX_SP_EL0);
static_assert(offsetof(VCpuContext, frame.elr) == VCPU_CTX_ELR);
static_assert(offsetof(VCpuContext, frame.spsr) == VCPU_CTX_ELR + 8);
static_assert(offsetof(VCpuContext, esr) == VCPU_CTX_ESR);
static_assert(offsetof(VCpuContext, far) == VCPU_CTX_ESR + 8);
static_assert(offsetof(VCpuContext, hpfar) == VCPU_CTX_HPFAR);
static_assert(offsetof(VCpuContext, kind) == VCPU_CTX_KIND && VCPU_CTX_KIND == VCPU_CTX_HPFAR + 8);
static_assert(offsetof(VCpuContext, host_sp) == VCPU_CTX_HOST_SP);
static_assert(offsetof(VCpuContext, swap_ia_key) == VCPU_CTX_SWAP_IA_KEY);
static_assert(offsetof(VCpuContext, guest_ia_key) == VCPU_CTX_GUEST_IA_KEY);
static_assert(offsetof(VCpuContext, host_ia_key) == VCPU_CTX_HOST_IA_KEY);
#pragma GCC diagnostic pop
static_assert(static_cast<int>(VectorAnswer::done) == 0 && static_cast<int>(VectorAnswer::none) == VCPU_ANSWER_NONE);
static_assert(static_cast<int>(VectorAnswer::done_all_gprs) == 1 << VCPU_ANSWER_OTHERWISE_BIT);
static_assert(static_cast<int>(VectorAnswer::waits) == (1 << VCPU_ANSWER_OTHERWISE_BIT | 1 << VCPU_ANSWER_WAITS_BIT));
static_assert(static_cast<int>(TrapKind::sync) == VCPU_TRAP_SYNC && static_cast<int>(TrapKind::irq) == VCPU_TRAP_IRQ);
static_assert(static_cast<int>(TrapKind::fiq) == VCPU_TRAP_FIQ &&
              static_cast<int>(TrapKind::serror) == VCPU_TRAP_SERROR);

namespace hw {

HostRegisters save_host() noexcept {
  return {.vbar_el2 = VCPU_READ_SYSREG(vbar_el2),
          .hcr_el2 = VCPU_READ_SYSREG(hcr_el2),
          .cptr_el2 = VCPU_READ_SYSREG(cptr_el2),
          .mdcr_el2 = VCPU_READ_SYSREG(mdcr_el2),
          .os_lock = Oslsr::from(VCPU_READ_SYSREG(oslsr_el1)).get<Oslsr::OSLK>()};
}

void use_vectors(Vectors vectors) noexcept {
  VCPU_WRITE_SYSREG(vbar_el2, reinterpret_cast<std::uintptr_t>(vectors == Vectors::answering ? arm_vcpu_vectors
                                                                                             : arm_vcpu_plain_vectors));
}

void take_el2(Vectors vectors) noexcept {
  // Trap and enable controls of later extensions come out of reset UNKNOWN. 0 leaves the guest without what they would
  // enable, and none of what they would trap is shown to it.
  const std::uint64_t mmfr1 = VCPU_READ_SYSREG(id_aa64mmfr1_el1);
  const std::uint64_t mmfr0 = VCPU_READ_SYSREG(id_aa64mmfr0_el1);
  if (bits::extract(mmfr1, 43, 40) != 0) {  // HCX
    VCPU_WRITE_SYSREG(S3_4_C1_C2_2, 0);     // HCRX_EL2
  }
  if (bits::extract(mmfr0, 59, 56) != 0) {  // FGT
    VCPU_WRITE_SYSREG(S3_4_C1_C1_4, 0);     // HFGRTR_EL2
    VCPU_WRITE_SYSREG(S3_4_C1_C1_5, 0);     // HFGWTR_EL2
    VCPU_WRITE_SYSREG(S3_4_C1_C1_6, 0);     // HFGITR_EL2
    VCPU_WRITE_SYSREG(S3_4_C3_C1_4, 0);     // HDFGRTR_EL2
    VCPU_WRITE_SYSREG(S3_4_C3_C1_5, 0);     // HDFGWTR_EL2
  }
  // A cold reset leaves the OS Lock locked, which would keep the guests' breakpoints from working. Each has a virtual
  // one.
  VCPU_WRITE_SYSREG(mdscr_el1, 0);
  VCPU_WRITE_SYSREG(oslar_el1, 0);
  if (const auto pmu = IdAa64Dfr0::from(VCPU_READ_SYSREG(id_aa64dfr0_el1)).get<IdAa64Dfr0::PMUVer>();
      pmu != 0 && pmu != 0xF) {
    idle_pmu(static_cast<unsigned>(Mdcr::from(VCPU_READ_SYSREG(mdcr_el2)).get<Mdcr::HPMN>()));
  }
  use_vectors(vectors);
  el2::isb();
}

void restore_host(const HostRegisters& host) noexcept {
  VCPU_WRITE_SYSREG(oslar_el1, host.os_lock ? 1 : 0);
  VCPU_WRITE_SYSREG(vbar_el2, host.vbar_el2);
  restore_host_traps(host.hcr_el2, host.cptr_el2, host.mdcr_el2);
}

void restore_host_traps(std::uint64_t hcr, std::uint64_t cptr, std::uint64_t mdcr) noexcept {
  VCPU_WRITE_SYSREG(hcr_el2, hcr);
  VCPU_WRITE_SYSREG(cptr_el2, cptr);
  VCPU_WRITE_SYSREG(mdcr_el2, mdcr);
  el2::isb();
}

bool host_uses_ia_key() noexcept {
  constexpr std::uint64_t kEnIA = std::uint64_t{1} << 31;
  return (VCPU_READ_SYSREG(sctlr_el2) & kEnIA) != 0;
}

void read_ia_key(std::uint64_t (&key)[2]) noexcept {
  key[0] = VCPU_READ_SYSREG(S3_0_C2_C1_0);
  key[1] = VCPU_READ_SYSREG(S3_0_C2_C1_1);
}

std::uint32_t acknowledge_interrupt(bool group0) noexcept {
  std::uint64_t intid = 0;
  if (const el2::GicV2Frames& v2 = el2::gic_v2(); v2.is_present()) {
    intid = el2::mmio::read32(v2.cpu_interface + gic::GICC_IAR);
  } else {
    intid = group0 ? VCPU_READ_SYSREG(S3_0_C12_C8_0) : VCPU_READ_SYSREG(S3_0_C12_C12_0);
  }
  // The acknowledge must be complete before anything that depends on it. [gicv3] "Observability of the effects of
  // accesses to the GIC registers"
  el2::dsb_sy();
  return static_cast<std::uint32_t>(intid & 0xFF'FFFF);
}

El1State read_el1_state() noexcept {
  return {.vbar_el1 = VCPU_READ_SYSREG(vbar_el1), .sctlr_el1 = SctlrEl1::from(VCPU_READ_SYSREG(sctlr_el1))};
}

void write_el1_entry(const El1Entry& entry, Esr esr, std::optional<std::uint64_t> far) noexcept {
  VCPU_WRITE_SYSREG(elr_el1, entry.elr_el1);
  VCPU_WRITE_SYSREG(spsr_el1, entry.spsr_el1);
  VCPU_WRITE_SYSREG(esr_el1, esr.raw);
  if (far) {
    VCPU_WRITE_SYSREG(far_el1, *far);
  }
}

void pend_serror() noexcept {
  if (IdAa64Pfr0::from(VCPU_READ_SYSREG(id_aa64pfr0_el1)).get<IdAa64Pfr0::RAS>() != 0) {
    VCPU_WRITE_SYSREG(S3_4_C5_C2_3, 0);  // VSESR_EL2: no syndrome
  }
  VCPU_WRITE_SYSREG(hcr_el2, Hcr::from(VCPU_READ_SYSREG(hcr_el2)).with<Hcr::VSE>(true).raw);
}

void trap_memory_registers(bool trap) noexcept {
  // Complete with the ERET.
  VCPU_WRITE_SYSREG(hcr_el2, Hcr::from(VCPU_READ_SYSREG(hcr_el2)).with<Hcr::TVM>(trap).raw);
}

// Under TVM, and switched with the guest.
#define VCPU_EACH_MEMORY_REGISTER(row)                                                                              \
  row(SCTLR_EL1) row(TTBR0_EL1) row(TTBR1_EL1) row(TCR_EL1) row(ESR_EL1) row(FAR_EL1) row(AFSR0_EL1) row(AFSR1_EL1) \
      row(MAIR_EL1) row(AMAIR_EL1) row(CONTEXTIDR_EL1)

bool is_memory_register(SysRegId id) noexcept {
#define VCPU_ROW(name) \
  if (id == sysreg::name) return true;
  VCPU_EACH_MEMORY_REGISTER(VCPU_ROW)
#undef VCPU_ROW
  return false;
}

void write_memory_register(SysRegId id, std::uint64_t value) noexcept {
#define VCPU_ROW(name)              \
  if (id == sysreg::name) {         \
    VCPU_WRITE_SYSREG(name, value); \
  }
    VCPU_EACH_MEMORY_REGISTER(VCPU_ROW)
#undef VCPU_ROW
}

std::uint64_t open_vectors(bool sve) noexcept {
  const std::uint64_t before = VCPU_READ_SYSREG(cptr_el2);
  VCPU_WRITE_SYSREG(cptr_el2, Cptr::from(before).with<Cptr::TFP>(false).with<Cptr::TZ>(!sve).raw);
  el2::isb();
  return before;
}
void close_vectors(std::uint64_t cptr_el2) noexcept {
  VCPU_WRITE_SYSREG(cptr_el2, cptr_el2);
}

void save_fp(FpSimdState& state) noexcept {
  arm_vcpu_save_fp(&state);
}
void load_fp(const FpSimdState& state) noexcept {
  arm_vcpu_load_fp(&state);
}

static_assert(offsetof(FpSimdState, fpcr) == offsetof(FpSimdState, fpsr) + 8);

void save_sve(SveState& sve, FpSimdState& fp) noexcept {
  sve.zcr_el1 = VCPU_READ_SYSREG(S3_0_C1_C2_0);
  arm_vcpu_save_sve(sve.registers.data(), &fp.fpsr);
}
void load_sve(const SveState& sve, const FpSimdState& fp, std::uint64_t zcr_el2) noexcept {
  VCPU_WRITE_SYSREG(S3_4_C1_C2_0, zcr_el2);
  VCPU_WRITE_SYSREG(S3_0_C1_C2_0, sve.zcr_el1);
  el2::isb();  // the loads have the new length
  arm_vcpu_load_sve(sve.registers.data(), &fp.fpsr);
}
std::uint32_t probe_sve_lengths() noexcept {
  return static_cast<std::uint32_t>(arm_vcpu_sve_lengths());
}

}  // namespace hw

namespace {

// Registers of the table are moved so many at a time: all are read before the first is written, so that loads and
// stores come in pairs. No more than a function has registers that it need not keep.
constexpr std::size_t kAtATime = 14;
constexpr std::size_t kRows = sizeof(GuestSystemRegisters) / sizeof(std::uint64_t);

constexpr bool is_moved(SysRegGroup group, std::size_t offset, std::size_t begin, unsigned groups) noexcept {
  const std::size_t row = offset / sizeof(std::uint64_t);
  return (groups >> static_cast<unsigned>(group) & 1) != 0 && row >= begin && row < begin + kAtATime;
}
template <class... Groups>
constexpr unsigned groups_of(Groups... groups) noexcept {
  return (... | (1U << static_cast<unsigned>(groups)));
}

#define VCPU_IS_MOVED(name, group) \
  constexpr(is_moved(SysRegGroup::group, offsetof(GuestSystemRegisters, name), Begin, Groups))

template <unsigned Groups, std::size_t Begin = 0>
[[gnu::always_inline]] inline void store_groups(GuestSystemRegisters& to) noexcept {
#define VCPU_GUEST_SYSREG(name, access, group)  \
  [[maybe_unused]] std::uint64_t live_##name{}; \
  if VCPU_IS_MOVED (name, group) live_##name = VCPU_READ_SYSREG(access);
#include "arm_vcpu/guest_sysregs.def"
#undef VCPU_GUEST_SYSREG
#define VCPU_GUEST_SYSREG(name, access, group) \
  if VCPU_IS_MOVED (name, group) to.name = live_##name;
#include "arm_vcpu/guest_sysregs.def"
#undef VCPU_GUEST_SYSREG
  if constexpr (Begin + kAtATime < kRows) store_groups<Groups, Begin + kAtATime>(to);
}

template <unsigned Groups, std::size_t Begin = 0>
[[gnu::always_inline]] inline void restore_groups(const GuestSystemRegisters& from) noexcept {
#define VCPU_GUEST_SYSREG(name, access, group)  \
  [[maybe_unused]] std::uint64_t next_##name{}; \
  if VCPU_IS_MOVED (name, group) next_##name = from.name;
#include "arm_vcpu/guest_sysregs.def"
#undef VCPU_GUEST_SYSREG
#define VCPU_GUEST_SYSREG(name, access, group) \
  if VCPU_IS_MOVED (name, group) VCPU_WRITE_SYSREG(access, next_##name);
#include "arm_vcpu/guest_sysregs.def"
#undef VCPU_GUEST_SYSREG
  if constexpr (Begin + kAtATime < kRows) restore_groups<Groups, Begin + kAtATime>(from);
}

#undef VCPU_IS_MOVED

}  // namespace

namespace {

[[gnu::always_inline]] inline void store_all(GuestSystemRegisters& to, GuestRegisterGroups groups) noexcept {
  if (groups.has(SysRegGroup::mte)) {
    // Tag check faults that are reported asynchronously are in TFSR_EL1 and TFSRE0_EL1 only behind a barrier: the entry
    // to EL2 has not synchronised them, because SCTLR_EL2.ITFSB is 0. [armarm] "Asynchronous Tag Check Faults"
    el2::dsb_nsh();
    el2::isb();
  }
  to.hcr_el2 = Hcr::from(to.hcr_el2).with<Hcr::VSE>(Hcr::from(VCPU_READ_SYSREG(hcr_el2)).get<Hcr::VSE>()).raw;
  if (groups.has(SysRegGroup::cntp)) {
    store_groups<groups_of(SysRegGroup::el1, SysRegGroup::cntp)>(to);
  } else {
    store_groups<groups_of(SysRegGroup::el1)>(to);
  }
  if (groups.has(SysRegGroup::pauth)) store_groups<groups_of(SysRegGroup::pauth)>(to);
  if (groups.has(SysRegGroup::pauth_ia)) store_groups<groups_of(SysRegGroup::pauth_ia)>(to);
  if (groups.has(SysRegGroup::scxtnum)) store_groups<groups_of(SysRegGroup::scxtnum)>(to);
  if (groups.has(SysRegGroup::tpidr2)) store_groups<groups_of(SysRegGroup::tpidr2)>(to);
  if (groups.has(SysRegGroup::mte)) store_groups<groups_of(SysRegGroup::mte)>(to);
}

[[gnu::always_inline]] inline void restore_all(const GuestSystemRegisters& from, GuestRegisterGroups groups) noexcept {
  if (groups.has(SysRegGroup::cntp)) {
    restore_groups<groups_of(SysRegGroup::control, SysRegGroup::el1, SysRegGroup::cntp)>(from);
  } else {
    restore_groups<groups_of(SysRegGroup::control, SysRegGroup::el1)>(from);
  }
  if (groups.has(SysRegGroup::pauth)) restore_groups<groups_of(SysRegGroup::pauth)>(from);
  if (groups.has(SysRegGroup::pauth_ia)) restore_groups<groups_of(SysRegGroup::pauth_ia)>(from);
  if (groups.has(SysRegGroup::scxtnum)) restore_groups<groups_of(SysRegGroup::scxtnum)>(from);
  if (groups.has(SysRegGroup::tpidr2)) restore_groups<groups_of(SysRegGroup::tpidr2)>(from);
  if (groups.has(SysRegGroup::mte)) restore_groups<groups_of(SysRegGroup::mte)>(from);
}

}  // namespace

void GuestSystemRegisters::store(GuestRegisterGroups groups) noexcept {
  store_all(*this, groups);
}

void GuestSystemRegisters::restore(GuestRegisterGroups groups) const noexcept {
  restore_all(*this, groups);
}

namespace {

// Nothing fires while the next one's are written. Should the line of a timer come up for a moment because its control
// and its compare value are not written in this order, EL2 takes no interrupt, and it is down before the ERET.
[[gnu::always_inline]] inline void exchange_groups(GuestSystemRegisters& from, GuestRegisterGroups from_groups,
                                                   const GuestSystemRegisters& to,
                                                   GuestRegisterGroups to_groups) noexcept {
  store_all(from, from_groups);
  VCPU_WRITE_SYSREG(cntv_ctl_el0, 0);
  if (from_groups.has(SysRegGroup::cntp)) VCPU_WRITE_SYSREG(cntp_ctl_el0, 0);
  restore_all(to, to_groups);
}

[[gnu::noinline]] void exchange_any(GuestSystemRegisters& from, GuestRegisterGroups from_groups,
                                    const GuestSystemRegisters& to, GuestRegisterGroups to_groups) noexcept {
  exchange_groups(from, from_groups, to, to_groups);
}

}  // namespace

void exchange(GuestSystemRegisters& from, GuestRegisterGroups from_groups, const GuestSystemRegisters& to,
              GuestRegisterGroups to_groups) noexcept {
  // What Armv8.0 has, and what most later CPUs have, without a question for each group.
  constexpr GuestRegisterGroups kUsual = GuestRegisterGroups{}.with(SysRegGroup::cntp);
  constexpr GuestRegisterGroups kLater = kUsual.with(SysRegGroup::pauth).with(SysRegGroup::scxtnum);
  const bool are_alike = from_groups == to_groups;
  if (are_alike && from_groups == kUsual) return exchange_groups(from, kUsual, to, kUsual);
  if (!are_alike || from_groups.with(SysRegGroup::tpidr2, false) != kLater) {
    return exchange_any(from, from_groups, to, to_groups);
  }
  exchange_groups(from, kLater, to, kLater);
  if (from_groups.has(SysRegGroup::tpidr2)) {
    store_groups<groups_of(SysRegGroup::tpidr2)>(from);
    restore_groups<groups_of(SysRegGroup::tpidr2)>(to);
  }
}

}  // namespace arm_vcpu
