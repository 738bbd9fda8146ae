// SPDX-License-Identifier: Apache-2.0
#include "vcpu/fake_hw.hpp"

#include "vcpu/vector_hw.hpp"

#include <cstdio>
#include <cstdlib>

namespace arm_vcpu {
namespace fake {

CpuIdentity Cpu::supported_cpu() {
  CpuIdentity id{};
  id.current_el = 2;
  id.midr_el1 = 0x410F'D083;
  id.id_aa64pfr0_el1 = 0x0100'2222;  // GIC, FP and AdvSIMD, EL3-EL0 with AArch32
  id.id_aa64dfr0_el1 = 0x1030'5106;
  id.id_aa64mmfr0_el1 = 0x0000'1124;  // 44 bits, 4 KiB and 64 KiB granules
  id.icc_sre_el2 = 0xF;
  id.ich_vtr_el2 = 0x9008'0003;
  return id;
}

Cpu& cpu() {
  static Cpu the_cpu;
  return the_cpu;
}
void reset() {
  cpu() = Cpu{};
}

}  // namespace fake

Capabilities probe() noexcept {
  return {fake::cpu().id};
}

namespace hw {

HostRegisters save_host() noexcept {
  return {.vbar_el2 = 0x1000, .hcr_el2 = 0x8000'0000, .cptr_el2 = 0x33FF, .mdcr_el2 = 6};
}
void use_vectors(Vectors vectors) noexcept {
  fake::cpu().vectors = vectors;
}
void take_el2(Vectors vectors) noexcept {
  use_vectors(vectors);
  fake::cpu().log.emplace_back("take_el2");
}
void restore_host(const HostRegisters& host) noexcept {
  fake::cpu().log.emplace_back("restore_host vbar " + std::to_string(host.vbar_el2));
}
void restore_host_traps(std::uint64_t hcr, std::uint64_t, std::uint64_t) noexcept {
  fake::cpu().log.emplace_back("restore_host_traps hcr " + std::to_string(hcr));
}

void arm_vcpu_enter_guest(VCpuContext* context) noexcept {
  while (context != nullptr) {
    if (fake::cpu().guest.empty()) {
      std::fputs("the guest's script is over\n", stderr);
      std::abort();
    }
    const auto step = fake::cpu().guest.front();
    fake::cpu().guest.erase(fake::cpu().guest.begin());
    step(*context);
    VCpuContext* next = nullptr;
    // The vectors ask for A64 only. Of the answers this fake takes those to a wait.
    if (fake::cpu().vectors == Vectors::answering && context->kind == TrapKind::sync &&
        context->esr.get<Esr::EC>() == Ec::wfx && !context->frame.spsr.get<Spsr::nRW>()) {
      if (vmexit_answer_sync(0, context, context->esr.raw) == VectorAnswer::waits) next = vmexit_wait(context);
    }
    context = next != nullptr ? next : vmexit_handler(context);
  }
}

std::uint64_t read_elr() noexcept {
  return fake::cpu().elr;
}
std::uint64_t read_spsr() noexcept {
  return fake::cpu().spsr;
}
std::uint64_t read_far() noexcept {
  return fake::cpu().far;
}
std::uint64_t read_hpfar() noexcept {
  return fake::cpu().hpfar;
}
std::uint64_t live_sctlr_el1() noexcept {
  return fake::cpu().el1.sctlr_el1.raw;
}
void write_elr(std::uint64_t value) noexcept {
  fake::cpu().elr = value;
}
std::uint64_t read_ich_elrsr() noexcept {
  return fake::cpu().ich_elrsr;
}
void write_ich_lr0(std::uint64_t value) noexcept {
  fake::cpu().ich_lr0 = value;
}
std::uint64_t read_icc_iar1() noexcept {
  return fake::cpu().pending_interrupt;
}
void write_icc_eoir1(std::uint64_t value) noexcept {
  fake::cpu().eoir = value;
}
void write_icc_dir(std::uint64_t value) noexcept {
  fake::cpu().dir = value;
}
void write_icc_sgi1r(std::uint64_t value) noexcept {
  fake::cpu().sgi1r = value;
}

bool host_uses_ia_key() noexcept {
  return fake::cpu().uses_ia_key;
}
void read_ia_key(std::uint64_t (&key)[2]) noexcept {
  key[0] = fake::cpu().live.apiakeylo_el1;
  key[1] = fake::cpu().live.apiakeyhi_el1;
}
std::uint32_t acknowledge_interrupt(bool) noexcept {
  return fake::cpu().pending_interrupt;
}
El1State read_el1_state() noexcept {
  return fake::cpu().el1;
}
void write_el1_entry(const El1Entry& entry, Esr esr, std::optional<std::uint64_t> far) noexcept {
  fake::cpu().entry = entry;
  fake::cpu().entry_esr = esr;
  fake::cpu().entry_far = far;
}
void pend_serror() noexcept {
  fake::cpu().serror_pending = true;
}
void trap_memory_registers(bool trap) noexcept {
  fake::cpu().log.emplace_back(trap ? "TVM 1" : "TVM 0");
}
bool is_memory_register(SysRegId id) noexcept {
  return id == sysreg::SCTLR_EL1 || id == sysreg::TTBR0_EL1;
}
void write_memory_register(SysRegId id, std::uint64_t value) noexcept {
  if (id == sysreg::SCTLR_EL1) {
    fake::cpu().el1.sctlr_el1 = SctlrEl1::from(value);
  } else {
    fake::cpu().log.emplace_back("TTBR0 " + std::to_string(value));
  }
}
std::optional<std::uint64_t> translate_stage1(std::uint64_t, bool, bool) noexcept {
  return fake::cpu().stage1_result;
}
GuestPlace locate(const GuestAccess& access) noexcept {
  fake::cpu().located.push_back(access);
  const auto found = fake::cpu().pages.find(access.va & bits::mask(55, 12));
  if (found == fake::cpu().pages.end()) return {.kind = GuestPlace::Kind::fault, .fsc = Fsc::translation_l3};
  GuestPlace place = found->second;
  if (place.kind == GuestPlace::Kind::memory && access.is_write && fake::cpu().read_only) {
    place = *fake::cpu().read_only;
  }
  if (place.kind == GuestPlace::Kind::memory || place.kind == GuestPlace::Kind::unmapped) {
    place.address |= access.va & 0xFFF;
  }
  return place;
}
std::uint64_t read_guest(const GuestPlace& place, AccessWidth width) noexcept {
  std::uint64_t value = 0;
  for (unsigned i = 0; i < bytes_of(width); ++i) {
    value |= std::uint64_t{fake::cpu().bytes[place.address + i]} << (8 * i);
  }
  return value;
}
void write_guest(const GuestPlace& place, AccessWidth width, std::uint64_t value) noexcept {
  for (unsigned i = 0; i < bytes_of(width); ++i) {
    fake::cpu().bytes[place.address + i] = static_cast<std::uint8_t>(value >> (8 * i));
  }
}
std::optional<std::uint32_t> fetch_guest(std::uint64_t va) noexcept {
  const GuestPlace place = locate({.va = va});
  if (place.kind != GuestPlace::Kind::memory) return std::nullopt;
  return static_cast<std::uint32_t>(read_guest(place, AccessWidth::word));
}
SctlrEl1 read_sctlr_el1() noexcept {
  return fake::cpu().el1.sctlr_el1;
}
void flush_guest_tlb() noexcept {
  fake::cpu().log.emplace_back("flush_guest_tlb");
}
std::uint64_t read_sp_el0() noexcept {
  return fake::cpu().sp_el0;
}
void write_sp_el0(std::uint64_t value) noexcept {
  fake::cpu().sp_el0 = value;
}
std::uint64_t read_sp_el1() noexcept {
  return fake::cpu().live.sp_el1;
}
void write_sp_el1(std::uint64_t value) noexcept {
  fake::cpu().live.sp_el1 = value;
}
std::uint64_t zero_block_bytes() noexcept {
  return 64;
}
std::uint64_t read_tcr_el1() noexcept {
  return fake::cpu().tcr_el1;
}
bool guest_tracks_writes() noexcept {
  return fake::cpu().tracks_writes;
}
std::array<std::uint64_t, 2> read_vector(unsigned n) noexcept {
  return {fake::cpu().fp.v[2 * n], fake::cpu().fp.v[2 * n + 1]};
}
void write_vector(unsigned n, const std::array<std::uint64_t, 2>& value) noexcept {
  fake::cpu().fp.v[2 * n] = value[0];
  fake::cpu().fp.v[2 * n + 1] = value[1];
}

std::uint64_t open_vectors(bool sve) noexcept {
  fake::cpu().log.emplace_back(sve ? "open_vectors sve" : "open_vectors");
  return fake::cpu().live.cptr_el2;
}
void close_vectors(std::uint64_t cptr_el2) noexcept {
  fake::cpu().live.cptr_el2 = cptr_el2;
}
void save_sve(SveState& sve, FpSimdState& fp) noexcept {
  fake::cpu().log.emplace_back("save_sve " + std::to_string(fake::cpu().zcr_el2));
  sve = fake::cpu().sve;
  fp.fpsr = fake::cpu().fp.fpsr;
  fp.fpcr = fake::cpu().fp.fpcr;
}
void load_sve(const SveState& sve, const FpSimdState& fp, std::uint64_t zcr_el2) noexcept {
  fake::cpu().log.emplace_back("load_sve " + std::to_string(zcr_el2));
  fake::cpu().zcr_el2 = zcr_el2;
  fake::cpu().sve = sve;
  fake::cpu().fp.fpsr = fp.fpsr;
  fake::cpu().fp.fpcr = fp.fpcr;
}
std::uint32_t probe_sve_lengths() noexcept {
  return fake::cpu().sve_lengths;
}
void save_fp(FpSimdState& state) noexcept {
  fake::cpu().log.emplace_back("save_fp");
  state = fake::cpu().fp;
}
void load_fp(const FpSimdState& state) noexcept {
  fake::cpu().log.emplace_back("load_fp");
  fake::cpu().fp = state;
}
void load_debug(const DebugRegisters& debug) noexcept {
  fake::cpu().log.emplace_back("load_debug");
  fake::cpu().debug = debug;
}
void write_mdscr(std::uint64_t value) noexcept {
  fake::cpu().log.emplace_back("mdscr " + std::to_string(value));
  fake::cpu().mdscr = value;
}
void load_pmu(const PmuState& state, unsigned counters) noexcept {
  fake::cpu().log.emplace_back("load_pmu " + std::to_string(counters));
  fake::cpu().pmu = state;
}
void save_pmu(PmuState& state, unsigned counters) noexcept {
  fake::cpu().log.emplace_back("save_pmu " + std::to_string(counters));
  state = fake::cpu().pmu.value();
  fake::cpu().pmu.reset();
}
void idle_pmu(unsigned) noexcept {}
void write_mdcr(std::uint64_t value) noexcept {
  fake::cpu().live.mdcr_el2 = value;
}
void call_firmware(FirmwareRegisters& x) noexcept {
  fake::cpu().log.emplace_back("firmware " + std::to_string(x[0]));
  fake::cpu().firmware_saw = x;
  if (fake::cpu().firmware) fake::cpu().firmware(x);
}
bool read_entropy(EntropySource, unsigned, EntropyWords& words) noexcept {
  words = {1, 2, 3};
  return true;
}
#ifndef __aarch64__
std::uint64_t counter_ticks() noexcept {
  return fake::cpu().ticks += 10;
}
#endif
std::uint64_t read_id_register(SysRegId id) noexcept {
  if (id == sysreg::ID_AA64PFR0_EL1) {
    return fake::cpu().id.id_aa64pfr0_el1 | 0x1'0000'0000;  // with SVE, which must not be shown
  }
  if (id == sysreg::ID_AA64DFR0_EL1) {
    return fake::cpu().id_aa64dfr0_el1;
  }
  if (id == sysreg::ID_AA64PFR1_EL1) {
    return fake::cpu().id.id_aa64pfr1_el1;
  }
  return id == sysreg::ID_AA64MMFR2_EL1 ? fake::cpu().id_aa64mmfr2 : 0;
}
Result<> pend_in_list_register(std::uint32_t intid) noexcept {
  fake::cpu().log.emplace_back("list register " + std::to_string(intid));
  return {};
}

}  // namespace hw

void GuestSystemRegisters::store(GuestRegisterGroups groups) noexcept {
  const GuestSystemRegisters before = *this;
  *this = fake::cpu().live;
  for (const GuestSysRegInfo& row : guest_sysreg_table()) {
    const bool is_optional = row.group == SysRegGroup::pauth_ia || row.group == SysRegGroup::mte;
    if (row.group == SysRegGroup::control || (is_optional && !groups.has(row.group))) {
      this->*row.member = before.*row.member;
    }
  }
  hcr_el2 = Hcr::from(hcr_el2).with<Hcr::VSE>(fake::cpu().serror_pending).raw;
}
void GuestSystemRegisters::restore(GuestRegisterGroups groups) const noexcept {
  const GuestSystemRegisters before = fake::cpu().live;
  fake::cpu().live = *this;
  for (const GuestSysRegInfo& row : guest_sysreg_table()) {
    const bool is_optional = row.group == SysRegGroup::pauth_ia || row.group == SysRegGroup::mte;
    if (is_optional && !groups.has(row.group)) {
      fake::cpu().live.*row.member = before.*row.member;
    }
  }
}

void exchange(GuestSystemRegisters& from, GuestRegisterGroups from_groups, const GuestSystemRegisters& to,
              GuestRegisterGroups to_groups) noexcept {
  from.store(from_groups);
  to.restore(to_groups);
}

}  // namespace arm_vcpu
