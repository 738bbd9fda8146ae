// SPDX-License-Identifier: Apache-2.0
// Breakpoints, watchpoints and performance monitors of the vCPU on this CPU.
#include "arm_vcpu/el2/sysreg.hpp"
#include "vcpu/hw.hpp"

// X(15) to X(0), X(30) to X(0): a register's number is part of its name. In a switch over their count, each case falls
// through to the next, so that `count` of them are done.
#define VCPU_16_TO_1(X) X(15) X(14) X(13) X(12) X(11) X(10) X(9) X(8) X(7) X(6) X(5) X(4) X(3) X(2) X(1) X(0)
#define VCPU_31_TO_1(X) \
  X(30) X(29) X(28) X(27) X(26) X(25) X(24) X(23) X(22) X(21) X(20) X(19) X(18) X(17) X(16) VCPU_16_TO_1(X)

namespace arm_vcpu::hw {

void load_debug(const DebugRegisters& debug) noexcept {
  switch (debug.breakpoints()) {
#define VCPU_LOAD(n)                                                            \
  case (n) + 1: {                                                               \
    const DebugRegisters::Comparator breakpoint = debug.hardware_breakpoint(n); \
    VCPU_WRITE_SYSREG(dbgbvr##n##_el1, breakpoint.value);                       \
    VCPU_WRITE_SYSREG(dbgbcr##n##_el1, breakpoint.control);                     \
  }                                                                             \
    [[fallthrough]];
    VCPU_16_TO_1(VCPU_LOAD)
#undef VCPU_LOAD
    default: break;
  }
  switch (debug.watchpoints()) {
#define VCPU_LOAD(n)                                                            \
  case (n) + 1: {                                                               \
    const DebugRegisters::Comparator watchpoint = debug.hardware_watchpoint(n); \
    VCPU_WRITE_SYSREG(dbgwvr##n##_el1, watchpoint.value);                       \
    VCPU_WRITE_SYSREG(dbgwcr##n##_el1, watchpoint.control);                     \
  }                                                                             \
    [[fallthrough]];
    VCPU_16_TO_1(VCPU_LOAD)
#undef VCPU_LOAD
    default: break;
  }
}

void write_mdscr(std::uint64_t value) noexcept {
  VCPU_WRITE_SYSREG(mdscr_el1, value);
}

void write_mdcr(std::uint64_t value) noexcept {
  VCPU_WRITE_SYSREG(mdcr_el2, value);
}

// PMUSERENR_EL0 is looked at before MDCR_EL2.TPM. With all of it enabled an access from EL0 comes to EL2, and the
// guest's own PMUSERENR_EL0 decides once it is loaded.
void idle_pmu(unsigned counters) noexcept {
  constexpr std::uint64_t kAllOfEl0 = 0xF;  // EN, SW, CR, ER
  const std::uint64_t all = pmu_counter_mask(counters);
  VCPU_WRITE_SYSREG(pmcntenclr_el0, all);
  VCPU_WRITE_SYSREG(pmintenclr_el1, all);
  VCPU_WRITE_SYSREG(pmovsclr_el0, all);
  VCPU_WRITE_SYSREG(pmuserenr_el0, kAllOfEl0);
}

void load_pmu(const PmuState& state, unsigned counters) noexcept {
  VCPU_WRITE_SYSREG(pmcr_el0, state.pmcr & ~(Pmcr::P::kMask | Pmcr::C::kMask));
  switch (counters) {
#define VCPU_LOAD(n)                                           \
  case (n) + 1:                                                \
    VCPU_WRITE_SYSREG(pmevcntr##n##_el0, state.pmevcntr[n]);   \
    VCPU_WRITE_SYSREG(pmevtyper##n##_el0, state.pmevtyper[n]); \
    [[fallthrough]];
    VCPU_31_TO_1(VCPU_LOAD)
#undef VCPU_LOAD
    default: break;
  }
  VCPU_WRITE_SYSREG(pmccntr_el0, state.pmccntr);
  VCPU_WRITE_SYSREG(pmccfiltr_el0, state.pmccfiltr);
  VCPU_WRITE_SYSREG(pmselr_el0, state.pmselr);
  VCPU_WRITE_SYSREG(pmuserenr_el0, state.pmuserenr);
  VCPU_WRITE_SYSREG(pmovsset_el0, state.pmovs);
  VCPU_WRITE_SYSREG(pmintenset_el1, state.pminten);
  el2::isb();  // what is counted is decided before anything counts
  VCPU_WRITE_SYSREG(pmcntenset_el0, state.pmcnten);
}

void save_pmu(PmuState& state, unsigned counters) noexcept {
  const std::uint64_t all = pmu_counter_mask(counters);
  state.pmcnten = VCPU_READ_SYSREG(pmcntenset_el0) & all;
  VCPU_WRITE_SYSREG(pmcntenclr_el0, all);
  el2::isb();  // they stand still from here on
  state.pmcr = VCPU_READ_SYSREG(pmcr_el0);
  switch (counters) {
#define VCPU_SAVE(n)                                           \
  case (n) + 1:                                                \
    state.pmevcntr[n] = VCPU_READ_SYSREG(pmevcntr##n##_el0);   \
    state.pmevtyper[n] = VCPU_READ_SYSREG(pmevtyper##n##_el0); \
    [[fallthrough]];
    VCPU_31_TO_1(VCPU_SAVE)
#undef VCPU_SAVE
    default: break;
  }
  state.pmccntr = VCPU_READ_SYSREG(pmccntr_el0);
  state.pmccfiltr = VCPU_READ_SYSREG(pmccfiltr_el0);
  state.pmselr = VCPU_READ_SYSREG(pmselr_el0);
  state.pmuserenr = VCPU_READ_SYSREG(pmuserenr_el0);
  state.pmovs = VCPU_READ_SYSREG(pmovsset_el0) & all;
  state.pminten = VCPU_READ_SYSREG(pmintenset_el1) & all;
  idle_pmu(counters);
}

}  // namespace arm_vcpu::hw
