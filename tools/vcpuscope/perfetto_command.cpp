// SPDX-License-Identifier: Apache-2.0
// `vcpuscope perfetto`: a process for each VM, a thread for each vCPU with its exits as slices, a track for each
// physical CPU with what ran on it, and flows from an interrupt's injection to its delivery and from CPU_ON to the
// first record.
#include <fmt/core.h>

#include <memory>
#include <set>
#include <string>
#include <unordered_map>

#include "arm_vcpu/arch/smccc.hpp"
#include "command.hpp"
#include "describe.hpp"
#include "perfetto_writer.hpp"
#include "progress.hpp"
#include "selection.hpp"
#include "text.hpp"
#include "trace_file.hpp"

namespace arm_vcpu::scope {
namespace {

using perfetto::protos::TrackEvent;
using trace::Kind;
using trace::Outcome;
using trace::Record;

struct Options {
  std::string file;
  std::string out;
  SelectionOptions selection;
  SymbolOptions symbols;
};

// Identities of tracks.
constexpr std::uint64_t kCpusTrack = 1;
constexpr std::uint64_t vm_track(unsigned vm) {
  return 0x1'0000 + vm;
}
constexpr std::uint64_t cpu_track(unsigned cpu) {
  return 0x2'0000 + cpu;
}
constexpr std::uint64_t vcpu_key(const Record& r) {
  return std::uint64_t{r.vm} << 8 | r.vcpu;
}
constexpr std::uint64_t vcpu_track(std::uint64_t key) {
  return 0x10'0000 + key;
}

class Converter {
 public:
  Converter(const TraceFile& file, const Symbols& symbols, PerfettoWriter& out)
      : file_{file}, symbols_{symbols}, out_{out} {
    for (unsigned vm = 0; vm < vm_names_.size(); ++vm) vm_names_[vm] = file.vm_name(vm);
  }

  [[nodiscard]] Describer& describer() noexcept { return describer_; }

  void add(const CpuTrace& cpu, const Record& record) {
    declare(cpu, record);
    run_state(cpu, record);
    const bool is_exit = trace::is_exit(record.kind);
    const std::uint64_t track = record.kind == Kind::vm_event ? vm_track(record.vm) : vcpu_track(vcpu_key(record));
    out_.event(is_exit ? TrackEvent::TYPE_SLICE_BEGIN : TrackEvent::TYPE_INSTANT, track, file_.ns(record.time));
    put_name(record, is_exit);
    put_arguments(record, is_exit);
    put_flows(record);
    out_.write();
    if (is_exit && record.outcome != Outcome::open) {
      end_slice(track, record.time + record.duration);
    }
  }

  void finish() {
    for (const auto& [cpu, state] : cpus_) {
      if (state.running) end_slice(cpu_track(cpu), file_.last_time());
    }
  }

 private:
  struct CpuState {
    bool known{};    // a record has told what runs
    bool running{};  // a slice is open
    std::uint64_t vcpu{};
  };

  std::string vcpu_name(std::uint64_t key) const { return fmt::format("{}.{}", vm_names_[key >> 8], key & 0xFF); }

  void end_slice(std::uint64_t track, std::uint64_t time) {
    out_.event(TrackEvent::TYPE_SLICE_END, track, file_.ns(time));
    out_.write();
  }

  // Tracks are told of before their first event.
  void declare(const CpuTrace& cpu, const Record& record) {
    const std::uint64_t key = vcpu_key(record);
    if (cpus_.empty()) out_.track(kCpusTrack, 0, "Physical CPUs");
    if (cpus_.try_emplace(cpu.cpu).second) out_.track(cpu_track(cpu.cpu), kCpusTrack, fmt::format("CPU {}", cpu.cpu));
    const std::int32_t pid = record.vm + 1;  // 0 is the idle process to the UI
    if (vms_.insert(record.vm).second) {
      out_.process_track(vm_track(record.vm), pid, fmt::format("VM {}", vm_names_[record.vm]));
    }
    if (vcpus_.insert(key).second) {
      out_.thread_track(vcpu_track(key), vm_track(record.vm), pid, pid * 1000 + record.vcpu,
                        fmt::format("vCPU {}", record.vcpu));
    }
  }

  // The track of the physical CPU: slices while a vCPU is on it and does not wait.
  void run_state(const CpuTrace& cpu, const Record& record) {
    CpuState& state = cpus_[cpu.cpu];
    const std::uint64_t key = vcpu_key(record);
    const bool begins = record.kind == Kind::vcpu_scheduled || record.kind == Kind::vcpu_woken ||
                        (!state.known && trace::is_exit(record.kind));
    if (state.running && (record.kind == Kind::vcpu_parked || (begins && state.vcpu != key))) {
      end_slice(cpu_track(cpu.cpu), record.time);
      state.running = false;
    }
    if (begins && !state.running) {
      out_.event(TrackEvent::TYPE_SLICE_BEGIN, cpu_track(cpu.cpu), file_.ns(record.time));
      out_.name(vcpu_name(key), "cpu");
      out_.write();
      state = {true, true, key};
    }
    state.known = state.known || record.kind == Kind::vcpu_parked;
  }

  void put_name(const Record& record, bool is_exit) {
    scratch_.mark();
    scratch_.put(name_of(describer_.syndromes().reason(record)));
    if (const std::string target = describer_.target(record); !target.empty()) {
      scratch_.put(' ');
      scratch_.put(target);
    }
    out_.name(scratch_.take_line(), is_exit ? "exit" : "event");
  }

  void put_arguments(const Record& record, bool is_exit) {
    scratch_.mark();
    describer_.detail(scratch_, record);
    if (const auto text = scratch_.take_line(); !text.empty()) out_.argument("what", text);
    out_.argument("reason", name_of(describer_.syndromes().reason(record)));
    out_.address("PC", record.pc);
    if (!symbols_.empty()) {
      if (const std::string& symbol = symbols_.at(record.pc); !symbol.empty()) out_.argument("symbol", symbol);
    }
    if (!is_exit) return;
    if (record.kind == Kind::exit_sync || record.kind == Kind::exit_serror) out_.address("ESR_EL2", record.esr);
    if (const auto ipa = abort_ipa(record)) {
      out_.address("IPA", *ipa);
      out_.address("FAR_EL2", record.far);
    }
    out_.argument("outcome", trace::name_of(record.outcome));
  }

  void put_flows(const Record& record) {
    const std::uint64_t key = vcpu_key(record);
    if (record.kind != Kind::irq_injected) {
      if (const auto start = starts_.find(key); start != starts_.end()) {
        out_.end_flow(start->second);
        starts_.erase(start);
      }
    }
    if (record.kind == Kind::irq_injected) {  // again before it is delivered: the same flow
      out_.flow(pending_.try_emplace(key << 32 | (record.data & 0xFFFF'FFFF), next_flow_).first->second);
      ++next_flow_;
    } else if (record.kind == Kind::irq_delivered) {
      if (const auto found = pending_.find(key << 32 | (record.data & 0xFFFF'FFFF)); found != pending_.end()) {
        out_.end_flow(found->second);
        pending_.erase(found);
      }
    } else if (record.kind == Kind::psci_call) {
      const auto id = FunctionId::from_x0(record.data);
      const bool success = record.data >> 32 == 0;
      if (success && (id == psci_id(PsciFunction::CPU_ON) || id == psci_id(PsciFunction::CPU_ON, true))) {
        const std::uint64_t target = (record.far >> 8 & 0xFF) * 16 + (record.far & 0xF);  // guest_machine::affinity_of
        starts_[std::uint64_t{record.vm} << 8 | target] = next_flow_;
        out_.flow(next_flow_++);
      }
    }
  }

  const TraceFile& file_;
  const Symbols& symbols_;
  PerfettoWriter& out_;
  Describer describer_;
  Text scratch_{-1};
  std::array<std::string, 256> vm_names_;
  std::unordered_map<std::uint32_t, CpuState> cpus_;
  std::set<unsigned> vms_;
  std::set<std::uint64_t> vcpus_;
  std::unordered_map<std::uint64_t, std::uint64_t> pending_;  // vCPU and INTID: flow
  std::unordered_map<std::uint64_t, std::uint64_t> starts_;   // vCPU that CPU_ON was called for: flow
  std::uint64_t next_flow_{1};
};

void run(const Options& options) {
  const TraceFile file = open_trace(options.file);
  const Symbols symbols = options.symbols.load(file.header());
  const Selection selection{options.selection, file};
  PerfettoWriter out{options.out};
  Converter converter{file, symbols, out};
  Progress progress{"converting", file.records()};
  for_each_by_time(file, [&](const CpuTrace& cpu, const Record& record) {
    progress.advance();
    if (selection.takes(record, converter.describer().syndromes())) converter.add(cpu, record);
  });
  converter.finish();
  out.close();
}

}  // namespace

void register_perfetto(const Command& root) {
  auto options = std::make_shared<Options>();
  const Command command = root.subcommand("perfetto", "A file for the Perfetto UI (ui.perfetto.dev)");
  command.option("FILE", options->file, "trace, dump or log; - for stdin").required();
  command.option("-o,--output", options->out, "where to write it").required();
  options->symbols.add_to(command);
  options->selection.add_to(command);
  command.on_parsed([options] { run(*options); });
}

}  // namespace arm_vcpu::scope
