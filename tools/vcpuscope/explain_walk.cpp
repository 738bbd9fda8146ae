// SPDX-License-Identifier: Apache-2.0
// `vcpuscope explain walk`: how an address of a guest is translated, level by level, from a dump of RAM.
#include <fmt/core.h>

#include "arm_vcpu/trace/explain.hpp"
#include "command.hpp"
#include "explain_command.hpp"
#include "explain_input.hpp"
#include "json.hpp"

namespace arm_vcpu::scope {
namespace {

using Json = nlohmann::ordered_json;

struct Options {
  TranslationOptions translation;
  std::string va;
  std::string ipa;
  std::string access = "read";
  unsigned el = 1;
  bool pan{};
  bool json{};
};

stage1::Access access_of(const std::string& name) {
  if (name == "write") return stage1::Access::write;
  return name == "fetch" ? stage1::Access::fetch : stage1::Access::read;
}

std::string_view place_of(explain::Failure failure) {
  switch (failure) {
    case explain::Failure::none: return "none";
    case explain::Failure::stage1: return "stage 1";
    case explain::Failure::stage2_on_walk: return "stage 2 of the stage-1 walk";
    case explain::Failure::stage2: return "stage 2";
  }
  return {};
}

// "permission fault, level 3: ESR_EL1 has ...", where the exception goes and what it says.
std::string conclusion(const explain::Translation& found, const Options& options) {
  const std::string who = fmt::format("{} at EL{}", options.access, options.el);
  if (found.allowed()) return fmt::format("{}: allowed, PA {:#x}", who, found.pa);
  std::string text = fmt::format("{}: refused by {}: {}", who, place_of(found.failure), found.verdict.why);
  if (found.verdict.fsc) {
    const auto fsc = static_cast<std::uint8_t>(*found.verdict.fsc);
    const bool to_el2 = found.failure != explain::Failure::stage1;
    text += fmt::format("\n  {}: fault status {:#x}, {}", to_el2 ? "exception to EL2" : "exception to EL1", fsc,
                        explain::fault_status_text(fsc));
    if (to_el2) {
      text +=
          fmt::format("; IPA {:#x}{}", found.ipa,
                      found.failure == explain::Failure::stage2_on_walk ? " of a stage-1 descriptor (S1PTW 1)" : "");
    }
  }
  return text;
}

std::string stage2_text(const explain::Translation& found) {
  return fmt::format("stage 2 of IPA {:#x}:\n{}", found.ipa,
                     text_of([&](TextBuffer& out) { stage2::append(out, found.second); }));
}

Json stage1_json(const GuestMemory& memory, const stage1::Walk& walk) {
  Json steps = Json::array();
  for (const stage1::Step& step : walk.steps()) {
    steps.push_back({{"level", step.level}, {"at", hex(step.at)}, {"descriptor", hex(step.descriptor.raw)}});
  }
  Json result{{"outcome", stage1::name_of(walk.outcome)}, {"level", walk.level}, {"steps", std::move(steps)}};
  if (walk.translated()) {
    const auto& can = walk.permissions;
    result["ipa"] = hex(walk.output_address);
    result["el1"] = {{"read", can.el1_read}, {"write", can.el1_write}, {"execute", can.el1_execute}};
    result["el0"] = {{"read", can.el0_read}, {"write", can.el0_write}, {"execute", can.el0_execute}};
    result["attributes"] = text_of([&](TextBuffer& out) { stage1::append_attributes(out, memory.stage1, walk); });
  }
  return result;
}

Json stage2_json(const stage2::Walk& walk) {
  Json steps = Json::array();
  for (const stage2::WalkStep& step : walk.steps()) {
    steps.push_back({{"level", step.level}, {"at", hex(step.descriptor_pa)}, {"descriptor", hex(step.descriptor.raw)}});
  }
  Json result{{"outcome", stage2::name_of(walk.outcome)}, {"level", walk.level}, {"steps", std::move(steps)}};
  if (walk.translated()) {
    result["pa"] = hex(walk.output_address);
    result["attributes"] = text_of([&](TextBuffer& out) { stage2::append(out, walk.attributes); });
  }
  return result;
}

void run(const Options& options) {
  if (options.va.empty() == options.ipa.empty()) throw Failure("explain walk: give either --va or --ipa");
  const GuestMemory memory{options.translation};
  const stage1::Access access = access_of(options.access);
  const bool from_va = !options.va.empty();
  if (from_va && !memory.has_stage1) {
    throw Failure("explain walk --va: give --tcr with --ttbr0 or --ttbr1, or --sctlr with its MMU off");
  }
  if (!from_va && !memory.stage2) throw Failure("explain walk --ipa: give --vtcr and --vttbr, or --vm");

  const explain::Translation found = from_va ? memory.translate({.va = parse_number(options.va, "--va"),
                                                                 .access = access,
                                                                 .el = static_cast<std::uint8_t>(options.el),
                                                                 .pan = options.pan})
                                             : explain::translate_ipa(memory.stage2, parse_number(options.ipa, "--ipa"),
                                                                      access, options.el, *memory.dump);

  if (options.json) {
    Json result{{"allowed", found.allowed()}, {"refused_by", place_of(found.failure)}, {"why", found.verdict.why}};
    if (from_va) result["va"] = hex(parse_number(options.va, "--va"));
    if (from_va) result["stage1"] = stage1_json(memory, found.first);
    if (found.has_second) result["ipa"] = hex(found.ipa);
    if (found.has_second) result["stage2"] = stage2_json(found.second);
    if (found.verdict.fsc) result["fault_status"] = hex(static_cast<std::uint64_t>(*found.verdict.fsc));
    if (found.allowed()) result["pa"] = hex(found.pa);
    fmt::print("{}\n", result.dump(2));
    return;
  }
  if (!memory.source.empty()) fmt::print("stage-2 registers: {}\n", memory.source);
  if (from_va) {
    fmt::print("{}", text_of([&](TextBuffer& out) { stage1::append(out, memory.stage1, found.first); }));
  }
  if (found.has_second) {
    fmt::print("{}", stage2_text(found));
  } else if (from_va && found.failure == explain::Failure::none) {
    fmt::print("stage 2: not given, the IPA is taken as PA\n");
  }
  fmt::print("{}\n", conclusion(found, options));
}

}  // namespace

void add_explain_walk(const Command& explain) {
  auto options = std::make_shared<Options>();
  const Command command = explain.subcommand("walk", "How an address is translated, and why an access fails");
  options->translation.add_to(command);
  command.option("--va", options->va, "virtual address: stage 1, then stage 2");
  command.option("--ipa", options->ipa, "intermediate physical address: stage 2");
  command.option("--access", options->access, "read, write or fetch").one_of({"read", "write", "fetch"}).show_default();
  command.option("--el", options->el, "Exception level of the access").between(0, 1).show_default();
  command.flag("--pan", options->pan, "PSTATE.PAN is 1");
  command.flag("--json", options->json, "as JSON");
  command.on_parsed([options] { run(*options); });
}

}  // namespace arm_vcpu::scope
