// SPDX-License-Identifier: Apache-2.0
#include "stage1.hpp"

#include "arm_vcpu/text.hpp"

namespace arm_vcpu::diag {
namespace {

stage1::Registers registers_of(const GuestSystemRegisters& registers) noexcept {
  return {.tcr_el1 = registers.tcr_el1,
          .ttbr0_el1 = registers.ttbr0_el1,
          .ttbr1_el1 = registers.ttbr1_el1,
          .mair_el1 = registers.mair_el1,
          .sctlr_el1 = registers.sctlr_el1};
}

// What the exit says of the access to `va`: a read, unless it is the faulting address of a write or a fetch.
stage1::Request request_for(const CapturedState& state, std::uint64_t va) noexcept {
  stage1::Request request{.va = va};
  if (state.exit == nullptr) return request;
  const Spsr spsr = state.exit->frame.spsr;
  request.el = spsr.get<Spsr::nRW>() || spsr.get<Spsr::M>() == kModeEl0t ? 0 : 1;
  if (state.exit->far != va) return request;
  const Ec ec = state.exit->esr.get<Esr::EC>();
  const auto iss = DataAbortIss::from(state.exit->esr.get<Esr::ISS>());
  if (ec == Ec::instruction_abort_lower) request.access = stage1::Access::fetch;
  if (ec == Ec::data_abort_lower && iss.get<DataAbortIss::WnR>()) request.access = stage1::Access::write;
  return request;
}

std::optional<std::uint64_t> read_va(const CapturedState& state, std::uint64_t va, unsigned bytes) noexcept {
  if (state.memory == nullptr || va % bytes != 0) return std::nullopt;
  const auto walk = walk_stage1(state, va);
  if (!walk || !walk->translated()) return std::nullopt;
  return state.memory->read(walk->output_address, bytes);
}

}  // namespace

std::optional<stage1::Walk> walk_stage1(const CapturedState& state, std::uint64_t va) noexcept {
  if (state.registers == nullptr || state.registers_are_sampled) return std::nullopt;
  const bool off = !SctlrEl1::from(state.registers->sctlr_el1).get<SctlrEl1::M>();
  if (state.memory == nullptr && !off) return std::nullopt;
  const stage1::Walk walk =
      stage1::walk(registers_of(*state.registers), request_for(state, va), [&](std::uint64_t ipa) {
        return state.memory != nullptr ? state.memory->read(ipa, 8) : std::optional<std::uint64_t>{};
      });
  if (walk.outcome == stage1::Outcome::reserved_granule) return std::nullopt;
  return walk;
}

void append_stage1(TextBuffer& out, const CapturedState& state, std::uint64_t va, const stage1::Walk& walk) noexcept {
  if (walk.outcome == stage1::Outcome::mmu_off) {
    out.put("MMU off: IPA = VA");
    return;
  }
  if (walk.translated()) {
    format_to(out, "IPA {:x}, level {} descriptor {:x}", walk.output_address, static_cast<int>(walk.level),
              walk.leaf.raw);
  } else {
    format_to(out, "{}, level {}", name_of(walk.outcome), static_cast<int>(walk.level));
    if (walk.step_count != 0) {
      const stage1::Step& last = walk.steps().back();
      format_to(out, ", descriptor {:x} @IPA {:x}", last.descriptor.raw, last.at);
    }
  }
  const stage1::Verdict verdict = stage1::judge(registers_of(*state.registers), request_for(state, va), walk);
  if (!verdict.allowed) format_to(out, ": {}", verdict.why);
}

std::optional<std::uint32_t> instruction_at(const CapturedState& state, std::uint64_t va) noexcept {
  const auto opcode = read_va(state, va, 4);
  if (!opcode) return std::nullopt;
  return static_cast<std::uint32_t>(*opcode);
}

std::optional<std::uint64_t> word_at(const CapturedState& state, std::uint64_t va) noexcept {
  return read_va(state, va, 8);
}

}  // namespace arm_vcpu::diag
