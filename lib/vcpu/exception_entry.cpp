// SPDX-License-Identifier: Apache-2.0
#include "vcpu/exception_entry.hpp"

namespace arm_vcpu {
namespace {

// Offsets of the synchronous vectors. [armarm] "Vector offsets from vector table base address"
constexpr std::uint64_t kVectorCurrentSp0 = 0x000;
constexpr std::uint64_t kVectorCurrentSpx = 0x200;
constexpr std::uint64_t kVectorLowerA64 = 0x400;
constexpr std::uint64_t kVectorLowerA32 = 0x600;

std::uint64_t sync_vector(Spsr from) noexcept {
  if (from.get<Spsr::nRW>()) {
    return kVectorLowerA32;
  }
  switch (from.get<Spsr::M>()) {
    case kModeEl1h: return kVectorCurrentSpx;
    case kModeEl1t: return kVectorCurrentSp0;
    default: return kVectorLowerA64;
  }
}

bool from_el1(const TrapFrame& frame) noexcept {
  return !frame.spsr.get<Spsr::nRW>() && frame.spsr.get<Spsr::M>() != kModeEl0t;
}

}  // namespace

El1Entry take_exception_to_el1(const TrapFrame& frame, const El1State& el1, const Capabilities& caps) noexcept {
  const Spsr from = frame.spsr;
  Spsr to{};
  to = to.with<Spsr::M>(kModeEl1h).with<Spsr::D>(true).with<Spsr::A>(true).with<Spsr::I>(true).with<Spsr::F>(true);
  to = to.with<Spsr::NZCV>(from.get<Spsr::NZCV>()).with<Spsr::DIT>(from.get<Spsr::DIT>());
  if (caps.pan()) {
    to = to.with<Spsr::PAN>(from.get<Spsr::PAN>() || !el1.sctlr_el1.get<SctlrEl1::SPAN>());
  }
  if (caps.ssbs()) {
    to = to.with<Spsr::SSBS>(el1.sctlr_el1.get<SctlrEl1::DSSBS>());
  }
  if (caps.mte()) {
    to = to.with<Spsr::TCO>(true);
  }
  // BTYPE, IL, SS and UAO become 0.
  return {.pc = el1.vbar_el1 + sync_vector(from), .pstate = to, .elr_el1 = frame.elr, .spsr_el1 = from.raw};
}

Esr data_abort_syndrome(const TrapFrame& frame, Fsc fsc, bool is_write) noexcept {
  const auto iss = DataAbortIss{}.with<DataAbortIss::WnR>(is_write).with<DataAbortIss::DFSC>(fsc);
  return Esr{}
      .with<Esr::EC>(from_el1(frame) ? Ec::data_abort_same : Ec::data_abort_lower)
      .with<Esr::IL>(true)
      .with<Esr::ISS>(static_cast<std::uint32_t>(iss.raw));
}

Esr instruction_abort_syndrome(const TrapFrame& frame, Fsc fsc) noexcept {
  const auto iss = InstructionAbortIss{}.with<InstructionAbortIss::IFSC>(fsc);
  return Esr{}
      .with<Esr::EC>(from_el1(frame) ? Ec::instruction_abort_same : Ec::instruction_abort_lower)
      .with<Esr::IL>(true)
      .with<Esr::ISS>(static_cast<std::uint32_t>(iss.raw));
}

Esr undefined_syndrome() noexcept {
  return Esr{}.with<Esr::EC>(Ec::unknown).with<Esr::IL>(true);
}

}  // namespace arm_vcpu
