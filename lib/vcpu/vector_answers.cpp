// SPDX-License-Identifier: Apache-2.0
// Exits that the vector answers by itself. Leaf functions without a stack frame: they sign no return address, so the
// guest's pointer authentication key may stay where it is, and they keep the callee-saved registers in place. Nothing
// here changes what vmexit_handler() would find, unless the answer is complete.
//
// With the plain vectors (Aarch64PerCpu::hardware_enable) none of this runs, and every exit takes the long way.
#include <cstddef>

#include "arm_vcpu/arch/smccc.hpp"
#include "vcpu/plain_access.hpp"
#include "vcpu/recorder.hpp"
#include "vcpu/vector_hw.hpp"

namespace arm_vcpu {
namespace {

// HVC #0 and SMC #0, which differ in one bit.
constexpr std::uint64_t kHvc0 = Esr{}.with<Esr::EC>(Ec::hvc64).with<Esr::IL>(true).raw;
constexpr std::uint64_t kIsSmc = kHvc0 ^ Esr {}.with<Esr::EC>(Ec::smc64).with<Esr::IL>(true).raw;
static_assert((kIsSmc & (kIsSmc - 1)) == 0);

constexpr std::uint64_t kRtMask = SysRegIss::Rt::kMask;
constexpr std::uint64_t kSysReg = Esr{}.with<Esr::EC>(Ec::sysreg).with<Esr::IL>(true).raw;
constexpr std::uint64_t kMsrSgi1r = kSysReg | sysreg::ICC_SGI1R_EL1.iss();
constexpr std::uint64_t kRead = SysRegIss::Direction::kMask;
// op0 3, and all above it.
constexpr unsigned kOp0 = SysRegIss::Op0::kLo;
constexpr std::uint64_t kSysRegOp0 = (kSysReg | SysRegId{3, 0, 0, 0, 0}.iss()) >> kOp0;

// EC[5:4]: 0 for WFI, FP and AArch32's coprocessors.
constexpr std::uint64_t kFirstClassBits = std::uint64_t{0b11} << 30;
// WFI, on whatever condition: WFE and the waits with a time-out have another TI.
constexpr std::uint32_t kWfi = Esr{}.with<Esr::EC>(Ec::wfx).raw;
constexpr std::uint32_t kWfiFixed = Esr::EC::kMask | WfxIss::TI::kMask;

constexpr std::uint64_t kSgiIntid = std::uint64_t{0xF} << 24;

// No landing pad: nothing but a BL leads here.
#ifdef __aarch64__
#define VCPU_CALLED_BY_THE_VECTOR extern "C" [[gnu::target("branch-protection=none")]]
#else
#define VCPU_CALLED_BY_THE_VECTOR extern "C"
#endif

// The registers from here on are those that a function keeps.
constexpr unsigned kFirstKept = 19;

[[gnu::always_inline]] inline VectorAnswer done(VCpuContext& context) noexcept {
  ++context.handled;
  return VectorAnswer::done;
}

// Writes the register as a load or MRS does. x31 is written where SP_EL0 is kept while the vCPU is out of run(): that
// place is dead while the guest runs.
[[gnu::always_inline]] inline VectorAnswer done_with(VCpuContext& context, std::uint64_t reg,
                                                     std::uint64_t value) noexcept {
  static_assert(offsetof(TrapFrame, sp_el0) == offsetof(TrapFrame, gpr) + 31 * sizeof(std::uint64_t));
  (&context.frame.gpr.x[0])[reg] = value;
  ++context.handled;
  return reg < kFirstKept ? VectorAnswer::done : VectorAnswer::done_all_gprs;
}

// The whole record at once: the exit is over by now. Its duration is below what the counter can tell.
[[gnu::always_inline]] inline void record(VCpuContext& context, TrapKind kind, std::uint64_t pc, std::uint64_t esr,
                                          std::uint64_t far, std::uint64_t hpfar, std::uint64_t data) noexcept {
  const trace::RingCursor ring = context.trace_cursor;
  if (VCPU_TRACE == 0 || ring.written == nullptr) {
    return;
  }
  const std::uint64_t spsr = hw::read_spsr();
  const std::uint64_t number = *ring.written;
  (void)recorder::write(ring, number, context.answer_tag[static_cast<unsigned>(kind)], pc, esr, far, hpfar, data, spsr);
  ring.publish(number);
}

[[gnu::always_inline]] inline void write_list_register_0(DirectInterrupts& direct, std::uint32_t intid,
                                                         std::uint64_t lr) noexcept {
  hw::write_ich_lr0(lr);
  store_relaxed(direct.delivered, intid + 1);
}
[[gnu::always_inline]] inline bool list_register_0_is_empty() noexcept {
  return (hw::read_ich_elrsr() & 1) != 0;
}

[[gnu::always_inline]] inline VectorAnswer answer_call(VCpuContext& context, std::uint64_t esr, bool is_smc) noexcept {
  const std::uint64_t function = context.frame.gpr[0];
  const std::uint64_t argument = context.frame.gpr[1];
  const std::uint64_t pc = hw::read_elr();
  std::uint64_t answer = 0;
  if (static_cast<std::uint32_t>(function) == psci_id(PsciFunction::PSCI_VERSION).raw) {
    answer = kPsciVersion;
  } else if (static_cast<std::uint32_t>(function) == smccc::SMCCC_VERSION.raw) {
    answer = kSmcccVersion;
  } else if (!is_smc && function == context.refused.function && pc == context.refused.pc) {
    answer = ~std::uint64_t{0};
  } else {
    return VectorAnswer::none;
  }
  if (is_smc) {
    hw::write_elr(pc + 4);  // a trapped SMC has not advanced the PC
  }
  context.frame.gpr[0] = answer;
  record(context, TrapKind::sync, pc, esr, argument, answer, function);
  return done(context);
}

// A load of any width, to any register, that is not sign-extended.
[[gnu::always_inline]] inline VectorAnswer answer_load(VCpuContext& context, std::uint64_t esr) noexcept {
  // Big-endian data are for those who look at the instruction's context.
  constexpr std::uint64_t kBigEndian = SctlrEl1::EE::kMask | SctlrEl1::E0E::kMask;
  if (DataAbortIss::from(esr).get<DataAbortIss::SSE>() || !is_plain_load_fault(Esr::from(esr)) ||
      context.published == nullptr || (hw::live_sctlr_el1() & kBigEndian) != 0) {
    return VectorAnswer::none;
  }
  const std::uint64_t far = hw::read_far();
  const std::uint64_t hpfar = hw::read_hpfar();
  // HPFAR_EL2 has nothing but NS, which is shifted out, and FIPA.
  const std::uint64_t ipa = hpfar << 8 | (far & 0xFFF);
  const auto iss = DataAbortIss::from(esr);
  const auto width = AccessWidth{iss.get<DataAbortIss::SAS>()};
  const PublishedRegisters::Slot* slot = &context.published->slot_of(ipa, width);
  __asm__("" : "+r"(slot));
  const std::uint64_t key = slot->key;
  std::uint64_t value = slot->value;
  __asm__("" : "+r"(value));  // here, so that one instruction loads both
  if (key != PublishedRegisters::key_of(ipa, width)) {
    return VectorAnswer::none;
  }
  const std::uint64_t pc = hw::read_elr();
  hw::write_elr(pc + 4);
  record(context, TrapKind::sync, pc, esr, far, hpfar, value);
  return done_with(context, bits::extract(esr, DataAbortIss::SRT::kHi, DataAbortIss::SRT::kLo), value);
}

[[gnu::always_inline]] inline VectorAnswer answer_id_register(VCpuContext& context, std::uint64_t esr) noexcept {
  // op1 0, CRn 0, CRm 1 to 7: CRm 0 has MIDR_EL1 and others that are not in the file.
  const auto iss = SysRegIss::from(esr);
  const unsigned which = iss.get<SysRegIss::CRm>() * 8U + iss.get<SysRegIss::Op2>() - 8;
  if ((esr & SysRegId{0, 7, 15, 0, 0}.iss()) != 0 || which >= kIdRegisterCount) {
    return VectorAnswer::none;
  }
  const std::uint64_t value = context.id_registers[which];
  const std::uint64_t pc = hw::read_elr();
  hw::write_elr(pc + 4);
  record(context, TrapKind::sync, pc, esr, 0, 0, value);
  return done_with(context, bits::extract(esr, SysRegIss::Rt::kHi, SysRegIss::Rt::kLo), value);
}

// An SGI to this vCPU, or to one other.
[[gnu::always_inline]] inline VectorAnswer answer_sgi(VCpuContext& context, std::uint64_t esr) noexcept {
  DirectInterrupts* const direct = context.direct;
  const unsigned rt = SysRegIss::from(esr).get<SysRegIss::Rt>();
  if (direct == nullptr || rt == 31) {
    return VectorAnswer::none;
  }
  const std::uint64_t value = context.frame.gpr[rt];
  const auto intid = static_cast<unsigned>(bits::extract(value, 27, 24));
  std::uint64_t lr = 0;
  if ((value & ~kSgiIntid) == direct->address) {
    lr = load_relaxed(direct->sgi[intid]);
    if (lr == 0 || load_relaxed(direct->armed) == 0 || !list_register_0_is_empty()) {
      return VectorAnswer::none;
    }
    write_list_register_0(*direct, intid, lr);
  } else {
    if (context.peers == nullptr || (value & 0xFFFF) == 0) {
      return VectorAnswer::none;
    }
    DirectInterrupts* const target = context.peers->by_aff0[static_cast<unsigned>(__builtin_ctzll(value)) & 15];
    if (target == nullptr || (value & ~kSgiIntid) != target->address) {
      return VectorAnswer::none;
    }
    const std::uint64_t doorbell = load_relaxed(target->doorbell);
    if (doorbell == 0) {
      return VectorAnswer::none;
    }
    target->posted.fetch_or(1U << intid, std::memory_order_relaxed);
    hw::order_posts_before_sgi();
    hw::write_icc_sgi1r(doorbell);
  }
  const std::uint64_t pc = hw::read_elr();
  hw::write_elr(pc + 4);
  record(context, TrapKind::sync, pc, esr, 0, lr, value);
  return done(context);
}

// Another vCPU has posted SGIs. More than one: the interrupt controller sorts them out.
[[gnu::always_inline]] inline std::uint64_t take_posted(DirectInterrupts& direct) noexcept {
  const std::uint32_t posted = load_relaxed(direct.posted);
  if (posted == 0 || (posted & (posted - 1)) != 0) {
    return 0;
  }
  const auto intid = static_cast<unsigned>(__builtin_ctz(posted));
  const std::uint64_t lr = load_relaxed(direct.sgi[intid]);
  if (lr == 0 || load_relaxed(direct.armed) == 0 || !list_register_0_is_empty()) {
    return 0;
  }
  direct.posted.fetch_and(~posted, std::memory_order_acquire);
  write_list_register_0(direct, intid, lr);
  return lr;
}

}  // namespace

VCPU_CALLED_BY_THE_VECTOR VectorAnswer vmexit_answer_sync(std::uint64_t /*free*/, VCpuContext* context,
                                                          std::uint64_t esr) noexcept {
  if ((esr & ~kIsSmc) == kHvc0) {
    return (esr & kIsSmc) == 0 ? answer_call(*context, esr, false) : answer_call(*context, esr, true);
  }
  if (is_described_access(Esr::from(esr))) {
    return answer_load(*context, esr);
  }
  if ((esr & kFirstClassBits) == 0) {
    return (static_cast<std::uint32_t>(esr) & kWfiFixed) == kWfi ? VectorAnswer::waits : VectorAnswer::none;
  }
  if (esr >> kOp0 == kSysRegOp0) {
    if ((esr & kRead) != 0) {
      return answer_id_register(*context, esr);
    }
    if ((esr & ~kRtMask) == kMsrSgi1r) {
      return answer_sgi(*context, esr);
    }
  }
  return VectorAnswer::none;
}

VCPU_CALLED_BY_THE_VECTOR VectorAnswer vmexit_answer_irq(VCpuContext* context) noexcept {
  DirectInterrupts* const direct = context->direct;
  if (direct == nullptr) {
    return VectorAnswer::none;
  }
  const std::uint64_t intid = hw::read_icc_iar1();
  hw::complete_acknowledge();
  std::uint64_t lr = 0;
  if (intid == direct->timer_intid) {
    lr = load_relaxed(direct->timer);
    if (lr != 0 && list_register_0_is_empty()) {
      write_list_register_0(*direct, static_cast<std::uint32_t>(lr), lr);
      hw::write_icc_eoir1(intid);  // drops the priority; the guest's deactivation reaches the physical interrupt
      record(*context, TrapKind::irq, hw::read_elr(), 0, 0, lr, intid);
      return done(*context);
    }
  } else if (intid == kDoorbellSgi) {
    lr = take_posted(*direct);
    if (lr != 0) {
      hw::write_icc_eoir1(intid);
      hw::write_icc_dir(intid);
      record(*context, TrapKind::irq, hw::read_elr(), 0, 0, lr, intid);
      return done(*context);
    }
  }
  context->acknowledged = static_cast<std::uint32_t>(intid) + 1;
  return VectorAnswer::none;
}

}  // namespace arm_vcpu
