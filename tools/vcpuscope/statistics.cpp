// SPDX-License-Identifier: Apache-2.0
#include "statistics.hpp"

#include <fmt/core.h>

#include <algorithm>

#include "arm_vcpu/arch/smccc.hpp"
#include "json.hpp"
#include "progress.hpp"

namespace arm_vcpu::scope {
namespace {

using nlohmann::json;
using trace::Kind;
using trace::Outcome;
using trace::Record;

constexpr std::uint64_t target_key(Target target, std::uint64_t value) {
  return static_cast<std::uint64_t>(target) << 56 | value;
}
constexpr std::size_t kAhead = 8;  // records
constexpr Target target_of(std::uint64_t key) {
  return static_cast<Target>(key >> 56);
}

void sort_rows(std::vector<Statistics::Row>& rows) {
  std::sort(rows.begin(), rows.end(), [](const auto& a, const auto& b) {
    return a.thing->count != b.thing->count ? a.thing->count > b.thing->count : a.key < b.key;
  });
}

}  // namespace

Statistics::Statistics(const TraceFile& file, const SelectionOptions& options) : file_{file} {
  const Selection selection{options, file};
  Progress progress{"counting", file.records()};
  for (const CpuTrace& cpu : file.cpus()) {
    for (const auto& run : cpu.runs) {
      for (std::size_t i = 0; i < run.size(); ++i) {
        const Record& record = run[i];
        progress.advance();
        // PCs are many, and their counts all over memory: that is where the time goes.
        if (i + 3 * kAhead < run.size()) {
          pcs_.prefetch_slot(run[i + 3 * kAhead].pc);
          pcs_.prefetch_value(run[i + 2 * kAhead].pc);
          if (const Thing* next = pcs_.if_near(run[i + kAhead].pc)) next->durations.prefetch(run[i + kAhead].duration);
        }
        if (selection.all() || selection.takes(record, describer_.syndromes())) add(record);
      }
    }
  }
}

void Statistics::add(const Record& record) {
  ++records_;
  Syndromes& syndromes = describer_.syndromes();
  const Reason reason = syndromes.reason(record);
  Thing& by_reason = reasons_[static_cast<unsigned>(reason)];
  ++by_reason.count;
  Vcpu& vcpu = vcpus_[std::uint64_t{record.vm} << 8 | record.vcpu];
  ++vcpu.records;
  if (!trace::is_exit(record.kind)) return;

  ++exits_;
  ++vcpu.exits;
  const auto outcome = static_cast<std::size_t>(record.outcome);
  if (outcome < outcomes_.size()) ++outcomes_[outcome];
  Thing* things[3] = {&by_reason, &pcs_[record.pc], nullptr};
  ++things[1]->count;
  if (record.kind == Kind::exit_sync) {
    const Syndrome& s = syndromes.of(record);
    std::uint64_t key = 0;
    if (s.is_mmio && s.has_ipa) {
      key = target_key(Target::device, fault_ipa(Hpfar::from(record.hpfar), record.far, false));
    } else if (!s.target.empty()) {
      key = target_key(Target::system_register,
                       SysRegId::from_iss(SysRegIss::from(Esr::from(record.esr).get<Esr::ISS>())).iss());
    } else if (reason == reason_of(ExitKind::Hypercall) || reason == Reason::psci || reason == Reason::smccc ||
               reason == reason_of(Ec::smc64)) {
      key = target_key(Target::call, record.data & 0xFFFF'FFFF);
    }
    if (key != 0) {
      things[2] = &targets_[key];
      ++things[2]->count;
      things[2]->writes += s.is_write;
      things[2]->example = &record;
    }
  }
  if (record.outcome == Outcome::open) return;
  const bool waits = reason == reason_of(ExitKind::Halt);
  if (!waits) ticks_ += record.duration;
  (waits ? vcpu.wait_ticks : vcpu.ticks) += record.duration;
  for (Thing* thing : things) {
    if (thing == nullptr) continue;
    thing->durations.add(record.duration);
    thing->waits |= waits;
  }
}

double Statistics::seconds() const noexcept {
  return static_cast<double>(file_.ns(file_.last_time() - file_.first_time())) / 1e9;
}

std::vector<Statistics::Row> Statistics::reasons() const {
  std::vector<Row> rows;
  for (unsigned i = 0; i < static_cast<unsigned>(Reason::first_event) + 16; ++i) {
    if (reasons_[i].count != 0) {
      rows.push_back({std::string{name_of(static_cast<Reason>(i))}, {}, &reasons_[i], i});
    }
  }
  sort_rows(rows);
  return rows;
}

std::vector<Statistics::Row> Statistics::events() const {
  std::vector<Row> rows;
  for (unsigned i = static_cast<unsigned>(Reason::first_event) + 16; i < 256; ++i) {
    if (reasons_[i].count != 0) {
      rows.push_back({std::string{name_of(static_cast<Reason>(i))}, {}, &reasons_[i], i});
    }
  }
  sort_rows(rows);
  return rows;
}

std::vector<Statistics::Row> Statistics::targets(Target target) {
  std::vector<Row> rows;
  targets_.for_each([&](std::uint64_t key, const Thing& thing) {
    if (target_of(key) != target) return;
    std::string note = target == Target::device ? fmt::format("{:#010x}", key & ~(std::uint64_t{0xFF} << 56)) : "";
    rows.push_back({describer_.target(*thing.example), std::move(note), &thing, key});
  });
  sort_rows(rows);
  return rows;
}

std::vector<Statistics::Row> Statistics::pcs(const Symbols& symbols, std::size_t most) const {
  std::vector<Row> rows;
  rows.reserve(pcs_.size());
  pcs_.for_each([&](std::uint64_t pc, const Thing& thing) { rows.push_back({{}, {}, &thing, pc}); });
  sort_rows(rows);
  rows.resize(std::min(most, rows.size()));
  for (Row& row : rows) {
    row.name = fmt::format("{:#018x}", row.key);
    if (!symbols.empty()) row.note = symbols.at(row.key);
  }
  return rows;
}

std::vector<Statistics::VcpuRow> Statistics::vcpus() const {
  std::vector<VcpuRow> rows;
  vcpus_.for_each([&](std::uint64_t key, const Vcpu& counts) {
    const auto vm = static_cast<unsigned>(key >> 8);
    const auto vcpu = static_cast<unsigned>(key & 0xFF);
    rows.push_back({fmt::format("{}.{}", file_.vm_name(vm), vcpu), counts, vm, vcpu});
  });
  std::sort(rows.begin(), rows.end(),
            [](const auto& a, const auto& b) { return std::pair{a.vm, a.vcpu} < std::pair{b.vm, b.vcpu}; });
  return rows;
}

json Statistics::json(const Symbols& symbols, std::size_t most) {
  const auto share = [](std::uint64_t part, std::uint64_t whole) {
    return whole == 0 ? 0.0 : static_cast<double>(part) / static_cast<double>(whole);
  };
  const auto rows = [&](const std::vector<Row>& list, const char* note, bool has_writes) {
    nlohmann::json array = nlohmann::json::array();
    for (const Row& row : list) {
      if (array.size() == most && note != nullptr) break;
      const Durations& d = row.thing->durations;
      nlohmann::json object{{"name", row.name},
                            {"count", row.thing->count},
                            {"share", share(row.thing->count, exits_)},
                            {"time_share", row.thing->waits ? 0.0 : share(d.sum(), ticks_)},
                            {"waits", row.thing->waits},
                            {"total_ns", file_.ns(d.sum())},
                            {"min_ns", file_.ns(d.least())},
                            {"median_ns", file_.ns(d.quantile(0.5))},
                            {"p99_ns", file_.ns(d.quantile(0.99))},
                            {"max_ns", file_.ns(d.greatest())}};
      if (note != nullptr && !row.note.empty()) object[note] = row.note;
      if (has_writes) object["writes"] = row.thing->writes;
      array.push_back(std::move(object));
    }
    return array;
  };
  nlohmann::json document{{"file", file_.path()},
                          {"records", records_},
                          {"exits", exits_},
                          {"lost", file_.lost()},
                          {"cpus", file_.cpus().size()},
                          {"seconds", seconds()},
                          {"problems", std::vector<std::string>{file_.problems().begin(), file_.problems().end()}},
                          {"reasons", rows(reasons(), nullptr, false)},
                          {"devices", rows(targets(Target::device), "ipa", true)},
                          {"system_registers", rows(targets(Target::system_register), "", true)},
                          {"calls", rows(targets(Target::call), "", false)},
                          {"pcs", rows(pcs(symbols, most), "symbol", false)}};
  for (const Row& row : events()) document["events"][row.name] = row.thing->count;
  for (std::size_t i = 0; i < outcomes_.size(); ++i) {
    document["outcomes"][std::string{trace::name_of(static_cast<Outcome>(i))}] = outcomes_[i];
  }
  const double span = seconds() * 1e9;
  document["vcpus"] = nlohmann::json::array();
  for (const VcpuRow& row : vcpus()) {
    document["vcpus"].push_back(
        {{"name", row.name},
         {"exits", row.counts.exits},
         {"records", row.counts.records},
         {"hypervisor_ns", file_.ns(row.counts.ticks)},
         {"wait_ns", file_.ns(row.counts.wait_ticks)},
         {"hypervisor_share", span == 0 ? 0 : static_cast<double>(file_.ns(row.counts.ticks)) / span},
         {"wait_share", span == 0 ? 0 : static_cast<double>(file_.ns(row.counts.wait_ticks)) / span}});
  }
  return document;
}

}  // namespace arm_vcpu::scope
