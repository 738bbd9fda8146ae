// SPDX-License-Identifier: Apache-2.0
// `vcpuscope explain`: a register's value, an exception syndrome, a system register, a call, a diagnosis, a
// translation.
#include <fmt/core.h>

#include <algorithm>
#include <functional>
#include <vector>

#include "arm_vcpu/text.hpp"
#include "arm_vcpu/trace/diagnosis.hpp"
#include "arm_vcpu/trace/explain.hpp"
#include "arm_vcpu/trace/explain_calls.hpp"
#include "arm_vcpu/trace/explain_sysreg.hpp"
#include "command.hpp"
#include "explain_command.hpp"
#include "explain_input.hpp"
#include "json.hpp"

namespace arm_vcpu::scope {

using Json = nlohmann::ordered_json;

std::string text_of(const std::function<void(TextBuffer&)>& append) {
  for (std::size_t bytes = 4096;; bytes *= 2) {
    std::vector<char> storage(bytes);
    TextBuffer out{storage};
    append(out);
    if (!out.truncated()) return std::string{out.view()};
  }
}

namespace {

void print(const Json& json) {
  fmt::print("{}\n", json.dump(2));
}

Json fields_json(const explain::Register& reg, std::uint64_t value) {
  Json fields = Json::array();
  explain::visit(reg, value, [&](const explain::FieldView& field) {
    Json row{{"name", field.name}, {"hi", field.hi}, {"lo", field.lo}, {"value", hex(field.value)}};
    row["meaning"] = text_of([&](TextBuffer& out) { explain::append_meaning(out, field); });
    if (field.state != explain::FieldState::field) row["reserved"] = true;
    fields.push_back(std::move(row));
  });
  return fields;
}

void explain_register(const std::string& name, const std::string& value_text, bool all, bool json) {
  const explain::Row* found = explain::find_register(name);
  if (found == nullptr) {
    std::string known;
    for (unsigned i = 0; i < explain::register_count(); ++i) {
      const auto reg = explain::register_at(i).name();
      if (!reg.starts_with("ISS")) known += fmt::format(" {}", reg);
    }
    throw Failure(fmt::format("{}: no such register in the tables, which have{}", name, known));
  }
  const explain::Register reg = explain::register_of(found);
  const std::uint64_t value = parse_number(value_text, name);
  if (!json) {
    fmt::print("{}", text_of([&](TextBuffer& out) { explain::append(out, reg, value, all); }));
    return;
  }
  print({{"register", reg.name()}, {"title", reg.title()}, {"value", hex(value)}, {"fields", fields_json(reg, value)}});
}

void explain_esr(const std::string& value_text, bool all, bool json) {
  const std::uint64_t value = parse_number(value_text, "esr");
  if (!json) {
    fmt::print("{}", text_of([&](TextBuffer& out) { explain::append_esr(out, value, all); }));
    return;
  }
  const Esr esr = Esr::from(value);
  const explain::Register iss = explain::iss_encoding(esr.get<Esr::EC>());
  Json means = Json::array();
  const std::string meaning = text_of([&](TextBuffer& out) { explain::append_esr_meaning(out, value); });
  for (std::size_t at = 0; at < meaning.size();) {
    const std::size_t end = meaning.find('\n', at);
    means.push_back(meaning.substr(at, end - at));
    at = end == std::string::npos ? meaning.size() : end + 1;
  }
  const auto ec = static_cast<std::uint8_t>(esr.get<Esr::EC>());
  print({{"esr", hex(value)},
         {"ec", hex(ec)},
         {"class", explain::ec_text(ec)},
         {"name", name_of(esr.get<Esr::EC>())},
         {"il", esr.get<Esr::IL>()},
         {"iss",
          {{"value", hex(esr.get<Esr::ISS>())},
           {"encoding", iss.title()},
           {"fields", fields_json(iss, esr.get<Esr::ISS>())}}},
         {"means", std::move(means)}});
}

// A name, the generic form, or an ISS of EC 0x18 (or a whole ESR with it).
SysRegId parse_sysreg(const std::string& text) {
  if (const auto id = explain::parse_generic(text)) return *id;
  if (const explain::Encoding* row = explain::find_encoding(text)) return row->id;
  if (text.starts_with("0x") || text.starts_with("0X")) {
    return SysRegId::from_iss(SysRegIss::from(parse_number(text, "sysreg")));
  }
  throw Failure(
      fmt::format("{}: no system register or instruction has this name; give a name, S<op0>_<op1>_C<n>_C<m>_<op2> "
                  "or the ISS in hexadecimal",
                  text));
}

void explain_sysreg(const std::string& text, bool json) {
  const SysRegId id = parse_sysreg(text);
  if (!json) {
    fmt::print("{}", text_of([&](TextBuffer& out) { explain::append_sysreg(out, id); }));
    return;
  }
  Json names = Json::array();
  for (const explain::Encoding& row : explain::encodings()) {
    if (row.id == id) names.push_back({{"name", row.name}, {"read", row.readable}, {"write", row.writable}});
  }
  Json traps = Json::array();
  for (const explain::Trap& trap : explain::traps()) {
    const bool reads = trap.covers(id, true);
    const bool writes = trap.covers(id, false);
    if (reads || writes) traps.push_back({{"control", trap.control}, {"read", reads}, {"write", writes}});
  }
  print({{"encoding", text_of([&](TextBuffer& out) { explain::append_generic(out, id); })},
         {"op0", id.op0()},
         {"op1", id.op1()},
         {"crn", id.crn()},
         {"crm", id.crm()},
         {"op2", id.op2()},
         {"iss", hex(id.iss())},
         {"names", std::move(names)},
         {"traps", std::move(traps)}});
}

// A number, or a name of PSCI or SMCCC: the form that exists, SMC64 first where both do.
FunctionId parse_call(const std::string& text) {
  std::string upper = text;
  std::ranges::transform(upper, upper.begin(), [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
#define VCPU_PSCI(name, number, smc32, smc64, major, minor, arguments) \
  if (upper == #name || upper == "PSCI_" #name) return psci_id(PsciFunction::name, smc64);
#include "arm_vcpu/arch/psci.def"
#undef VCPU_PSCI
  return FunctionId::from_x0(parse_number(text, "psci"));
}

void explain_call(const std::string& text, const std::vector<std::string>& values, bool json) {
  const FunctionId id = parse_call(text);
  std::uint64_t x[3]{};
  for (std::size_t i = 0; i < values.size() && i < 3; ++i) x[i] = parse_number(values[i], "argument");
  if (!json) {
    fmt::print("{}", text_of([&](TextBuffer& out) {
                 values.empty() ? explain::append_call(out, id) : explain::append_call(out, id, x[0], x[1], x[2]);
               }));
    return;
  }
  Json arguments = Json::array();
  const PsciFunction function{id.get<FunctionId::Number>()};
  const bool psci = is_psci_call(id);
  for (unsigned i = 0; psci && !explain::argument_of(function, i).name.empty(); ++i) {
    const auto argument = explain::argument_of(function, i);
    arguments.push_back(
        {{"register", fmt::format("X{}", i + 1)}, {"name", argument.name}, {"meaning", argument.meaning}});
  }
  print({{"id", hex(id.raw)},
         {"name", name_of(id)},
         {"range", explain::range_of(id)},
         {"fast", id.get<FunctionId::Fast>()},
         {"smc64", id.get<FunctionId::SMC64>()},
         {"owner", name_of(id.get<FunctionId::Owner>())},
         {"purpose", psci ? explain::purpose_of(function) : std::string_view{}},
         {"arguments", std::move(arguments)}});
}

void explain_diagnosis(diag::Code code, bool json) {
  const diag::CodeInfo& info = diag::info_of(code);
  const std::string name = text_of([&](TextBuffer& out) { diag::append(out, info.code); });
  if (json) {
    print({{"code", name},
           {"name", info.name},
           {"title", info.title},
           {"symptom", info.symptom},
           {"cause", info.cause},
           {"advice", info.advice},
           {"arises", diag::name_of(info.arises)},
           {"where", info.where}});
    return;
  }
  fmt::print("{} {}\n  symptom: {}\n  cause: {}\n  check: {}\n  arises: {}: {}\n", name, info.title, info.symptom,
             info.cause, info.advice, diag::name_of(info.arises), info.where);
}

struct Options {
  std::vector<std::string> words;
  bool all{};
  bool json{};
};

bool is(const std::string& word, std::string_view name) {
  return std::ranges::equal(word, name, [](unsigned char a, unsigned char b) { return std::tolower(a) == b; });
}

void run(const Options& options) {
  const auto& words = options.words;
  const std::string& what = words[0];
  if (words.size() == 1) {
    if (const auto code = diag::parse_code(what); code && std::tolower(static_cast<unsigned char>(what[0])) == 'a') {
      return explain_diagnosis(*code, options.json);
    }
    throw Failure(fmt::format("explain {}: a value is missing, or it is no code of a diagnosis", what));
  }
  if (is(what, "sysreg")) {
    std::string name = words[1];
    for (std::size_t i = 2; i < words.size(); ++i) name += " " + words[i];  // DC CIVAC
    return explain_sysreg(name, options.json);
  }
  if (is(what, "psci") || is(what, "smccc")) {
    return explain_call(words[1], {words.begin() + 2, words.end()}, options.json);
  }
  if (words.size() > 2) throw Failure(fmt::format("explain {} takes one value", what));
  if (is(what, "esr") || is(what, "esr_el1") || is(what, "esr_el2"))
    return explain_esr(words[1], options.all, options.json);
  explain_register(what, words[1], options.all, options.json);
}

}  // namespace

void register_explain(const Command& root) {
  auto options = std::make_shared<Options>();
  const Command command = root.subcommand("explain", "What a register's value, a syndrome, a call or an address means");
  command.option("WHAT", options->words,
                 "esr VALUE | REGISTER VALUE | sysreg NAME|S3_0_C12_C11_5|0xISS | psci ID|NAME [X1 X2 X3] | AV0003");
  command.flag("--all", options->all, "fields that are 0 too");
  command.flag("--json", options->json, "as JSON");
  add_explain_walk(command);
  command.on_parsed([command, options] {
    if (command.has_subcommand()) return;
    if (options->words.empty()) throw Failure("explain what? See vcpuscope explain --help");
    run(*options);
  });
}

}  // namespace arm_vcpu::scope
