// SPDX-License-Identifier: Apache-2.0
// Both stages of a guest's translation at once: stage 1 reads its tables through stage 2, as the hardware does.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "arm_vcpu/trace/stage1_walk.hpp"
#include "arm_vcpu/vm/stage2_walk.hpp"

namespace arm_vcpu::explain {

// Stage 2 as VTCR_EL2 and VTTBR_EL2 describe it. Without one, an IPA is a PA (HCR_EL2.VM == 0).
struct Stage2Tables {
  stage2::Layout layout{};
  std::uint64_t root{};
};

// Whether stage 2 lets an access at `el` through; what HPFAR_EL2 and ESR_EL2 would say if it does not. The bits XN[1:0]
// are read as with FEAT_XNX; without it XN[0] is RES0, which means the same.
[[nodiscard]] constexpr stage1::Verdict judge_stage2(const stage2::Walk& walk, stage1::Access access,
                                                     unsigned el) noexcept {
  const auto code = [&walk](unsigned base) { return static_cast<Fsc>(base + walk.level); };
  switch (walk.outcome) {
    case stage2::WalkOutcome::translation_fault:
      return {false, code(0x04), "stage 2 maps nothing there: no RAM of the VM, or an emulated device"};
    case stage2::WalkOutcome::access_flag_fault: return {false, code(0x08), "AF is 0 in the stage-2 descriptor"};
    case stage2::WalkOutcome::address_size_fault:
      return {false, code(0x00), "the stage-2 descriptor holds an address beyond VTCR_EL2.PS"};
    case stage2::WalkOutcome::unreadable: return {false, std::nullopt, "the stage-2 descriptor cannot be read"};
    case stage2::WalkOutcome::translated: break;
  }
  const auto xn = static_cast<unsigned>(walk.descriptor.raw >> 53 & 3);
  const bool execute = xn == 0 || (el == 0 ? xn == 1 : xn == 3);
  switch (access) {
    case stage1::Access::read:
      if (!walk.attributes.read) return {false, code(0x0C), "S2AP[0] is 0: not readable"};
      break;
    case stage1::Access::write:
      if (!walk.attributes.write) return {false, code(0x0C), "S2AP[1] is 0: not writable"};
      break;
    case stage1::Access::fetch:
      if (!execute) return {false, code(0x0C), "XN in the stage-2 descriptor forbids execution"};
      break;
  }
  return {true, std::nullopt, "allowed"};
}

enum class Failure : std::uint8_t {
  none,
  stage1,          // an exception to EL1
  stage2_on_walk,  // stage 2 refused a stage-1 descriptor: to EL2, with S1PTW 1
  stage2,          // stage 2 refused the access itself: to EL2
};

struct Translation {
  Failure failure{};
  stage1::Walk first{};
  bool has_second{};          // there is a stage 2, and `second` holds its walk
  stage2::Walk second{};      // of `ipa`
  std::uint64_t ipa{};        // of the access; on stage2_on_walk that of the stage-1 descriptor
  std::uint64_t pa{};         // when nothing failed
  stage1::Verdict verdict{};  // of the stage that failed, or allowed

  [[nodiscard]] constexpr bool allowed() const noexcept { return failure == Failure::none && verdict.allowed; }
};

// Stage 2 of `ipa` alone.
template <stage2::DescriptorReader R>
[[nodiscard]] constexpr Translation translate_ipa(const std::optional<Stage2Tables>& tables, std::uint64_t ipa,
                                                  stage1::Access access, unsigned el, R&& reader) noexcept {
  Translation result{.ipa = ipa, .pa = ipa, .verdict = {true, std::nullopt, "allowed"}};
  if (!tables) return result;
  result.has_second = true;
  result.second = stage2::walk(tables->layout, tables->root, ipa, reader);
  result.verdict = judge_stage2(result.second, access, el);
  result.pa = result.second.output_address;
  if (!result.verdict.allowed) result.failure = Failure::stage2;
  return result;
}

// `reader` reads 64 bits at a PA; empty where it cannot.
template <stage2::DescriptorReader R>
[[nodiscard]] constexpr Translation translate(const stage1::Registers& registers,
                                              const std::optional<Stage2Tables>& tables, const stage1::Request& request,
                                              R&& reader) noexcept {
  std::optional<Translation> refused;
  const stage1::Walk first =
      stage1::walk(registers, request, [&](std::uint64_t ipa) constexpr -> std::optional<std::uint64_t> {
        const Translation of_table = translate_ipa(tables, ipa, stage1::Access::read, 1, reader);
        if (of_table.allowed()) return reader(of_table.pa);
        refused = of_table;
        return std::nullopt;
      });
  if (refused) {
    Translation result = *refused;
    result.failure = Failure::stage2_on_walk;
    result.first = first;
    return result;
  }
  const stage1::Verdict verdict = stage1::judge(registers, request, first);
  if (!verdict.allowed)
    return {.failure = Failure::stage1, .first = first, .ipa = first.output_address, .verdict = verdict};
  Translation result = translate_ipa(tables, first.output_address, request.access, request.el, reader);
  result.first = first;
  return result;
}

}  // namespace arm_vcpu::explain
