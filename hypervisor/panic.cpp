// SPDX-License-Identifier: Apache-2.0
// The last report of a hypervisor that took an exception itself.
#include <array>
#include <optional>
#include <span>

#include "arm_vcpu/arch/esr.hpp"
#include "arm_vcpu/el2/panic.hpp"
#include "arm_vcpu/vcpu.hpp"
#include "check.hpp"
#include "console.hpp"
#include "host_psci.hpp"
#include "layout.hpp"
#include "lock.hpp"
#include "per_cpu.hpp"
#include "physical_cpus.hpp"
#include "trace_area.hpp"
#include "verdict.hpp"
#include "vm_doctor.hpp"

#define HV_TO_STRING(x) #x
#define HV_EXPAND_TO_STRING(x) HV_TO_STRING(x)

namespace arm_vcpu::hv {
namespace {

constexpr std::array<std::string_view, 8> kKinds{
    "synchronous exception on SP_EL0", "IRQ on SP_EL0", "FIQ on SP_EL0", "SError on SP_EL0",
    "synchronous exception",           "IRQ",           "FIQ",           "SError"};

// Pointer authentication codes off a return address: XPACLRI, a NOP where there is no FEAT_PAuth.
std::uint64_t strip(std::uint64_t address) noexcept {
  register std::uint64_t x30 __asm__("x30") = address;
  __asm__("hint #7" : "+r"(x30));
  return x30;
}

// "image+0x1234": the offset is the address in the ELF file, as addr2line wants it.
struct CodeAddress {
  char storage[48];
  TextBuffer text{storage};
  explicit CodeAddress(std::uint64_t address) noexcept {
    if (image_range().contains(address)) {
      format_to(text, "image+{:x}", address - image_range().base);
    } else {
      format_to(text, "{:x}, not in the image", address);
    }
  }
  CodeAddress(const CodeAddress&) = delete;
  CodeAddress& operator=(const CodeAddress&) = delete;
};

constexpr std::uint64_t kDumpedRecords = 24;  // of each CPU: the last moments, a few seconds at 115200 baud
constexpr std::uint64_t kStackGuardBytes = 0x1000;

// The guard page and the stack above it.
Range stack_of(const PerCpu& cpu) noexcept {
  return {cpu.stack_top - HV_STACK_SLOT_BYTES + HV_EMERGENCY_STACK_TOP, HV_STACK_SLOT_BYTES - HV_EMERGENCY_STACK_TOP};
}

// The report's lines carry no level and ignore the log level.
template <class... Args>
void report(std::string_view pattern, const Args&... args) noexcept {
  char storage[240];
  TextBuffer text{storage};
  format_to(text, pattern, args...);
  detail::log_line(Level::info, text.view());
}

bool is_abort(Ec ec) noexcept {
  return ec == Ec::data_abort_same || ec == Ec::instruction_abort_same;
}

bool is_stack_overflow(const El2PanicFrame& frame, const PerCpu& cpu) noexcept {
  return is_abort(Esr::from(frame.esr).get<Esr::EC>()) &&
         Range{stack_of(cpu).base, kStackGuardBytes}.contains(frame.far);
}

std::string_view cause_of(const El2PanicFrame& frame, const PerCpu& cpu) noexcept {
  const Esr esr = Esr::from(frame.esr);
  if (is_stack_overflow(frame, cpu)) return "stack overflow";
  if (esr.get<Esr::EC>() == Ec::brk64) {
    switch (esr.get<Esr::ISS>() & 0xFFFF) {
      case VCPU_BRK_CHECK: return "CHECK failed";
      case VCPU_BRK_STACK_SMASHED: return "the stack protector's guard was overwritten";
      case VCPU_BRK_UNREACHABLE: return "a call that cannot be made";
      default: return "a trap that the compiler placed";
    }
  }
  const std::string_view meaning = meaning_of(esr.get<Esr::EC>());
  return meaning.empty() ? "an exception class that is reserved" : meaning;
}

void report_cause(const El2PanicFrame& frame, const PerCpu& cpu) noexcept {
  const Esr esr = Esr::from(frame.esr);
  const Ec ec = esr.get<Esr::EC>();
  report("panic: EL2 took an exception on CPU {} (MPIDR {:x}): {}", cpu.index, cpu.mpidr,
         kKinds[static_cast<std::size_t>(frame.kind) % kKinds.size()]);
  report("  ESR_EL2 {:x}: EC {:x} ISS {:x}, {}", frame.esr, ec, esr.get<Esr::ISS>(), cause_of(frame, cpu));
  if (is_abort(ec)) {
    const auto abort = DataAbortIss::from(esr.get<Esr::ISS>());
    const std::string_view access = ec == Ec::instruction_abort_same ? "instruction fetch"
                                    : abort.get<DataAbortIss::WnR>() ? "write"
                                                                     : "read";
    report("  {} at {:x}: {}", access, frame.far, meaning_of(abort.get<DataAbortIss::DFSC>()));
  }
  if (is_stack_overflow(frame, cpu)) {
    report("  that is the guard page below the stack {:x} to {:x}", stack_of(cpu).base + kStackGuardBytes,
           cpu.stack_top);
  }
}

void report_registers(const El2PanicFrame& frame) noexcept {
  report("  ELR_EL2 {:016x} ({})  SPSR_EL2 {:x}", frame.elr, CodeAddress{frame.elr}.text.view(), frame.spsr);
  report("  FAR_EL2 {:016x}  SP {:016x}", frame.far, frame.sp);
  for (unsigned n = 0; n < 30; n += 3) {
    report("  x{} {:016x}  x{} {:016x}  x{} {:016x}", n, frame.x[n], n + 1, frame.x[n + 1], n + 2, frame.x[n + 2]);
  }
  report("  x30 {:016x}", frame.x[30]);
}

// The backtrace, a recursion's calls as one line.
class Backtrace {
 public:
  void add(std::uint64_t address) noexcept {
    if (address == last_) {
      ++times_;
      return;
    }
    flush();
    last_ = address;
    times_ = 1;
  }
  void flush() noexcept {
    if (times_ == 1) report("    {}", CodeAddress{last_}.text.view());
    if (times_ > 1) report("    {}, {} times", CodeAddress{last_}.text.view(), times_);
    times_ = 0;
  }

 private:
  std::uint64_t last_{};
  unsigned times_{};
};

// Frame records {caller's x29, return address} lie on the stack, each above the last: a broken chain ends the walk.
std::span<const std::uint64_t> report_backtrace(const El2PanicFrame& frame, const PerCpu& cpu) noexcept {
  static constinit std::array<std::uint64_t, 16> calls{};  // a panic is the last thing that runs
  std::size_t depth = 0;
  report("  backtrace (addr2line -f -e arm-vcpu.elf, addresses without image+):");
  Backtrace lines;
  lines.add(frame.elr);
  const Range stack = stack_of(cpu);
  std::uint64_t record = frame.x[29];
  while (bits::aligned(record, 16) && record >= stack.base + kStackGuardBytes && record <= stack.end() - 16) {
    const auto* words = pointer_to<const std::uint64_t>(record);
    if (words[1] == 0) break;
    lines.add(strip(words[1]));
    if (depth < calls.size()) calls[depth++] = strip(words[1]);
    if (words[0] <= record) break;
    record = words[0];
  }
  lines.flush();
  return {calls.data(), depth};
}

// What the rules make of it.
void report_diagnosis(const El2PanicFrame& frame, const PerCpu& cpu, std::span<const std::uint64_t> calls) noexcept {
  explain_crash({.esr = Esr::from(frame.esr),
                 .far = frame.far,
                 .elr = frame.elr,
                 .spsr = frame.spsr,
                 .sp = frame.sp,
                 .frame_pointer = frame.x[29],
                 .on_sp_el0 = frame.kind < El2VectorKind::sync_spx,
                 .stack_base = stack_of(cpu).base + kStackGuardBytes,
                 .stack_top = cpu.stack_top,
                 .backtrace = calls,
                 .instruction = image_range().contains(frame.elr)
                                    ? std::optional{*pointer_to<const std::uint32_t>(frame.elr)}
                                    : std::nullopt,
                 .cptr_el2 = VCPU_READ_SYSREG(cptr_el2)});
}

}  // namespace

void check_failed(const char* condition, const char* file, unsigned line) noexcept {
  log(Level::error, "CHECK({}) failed at {}:{}", condition, file, line);
  __asm__ volatile("brk #" HV_EXPAND_TO_STRING(VCPU_BRK_CHECK));
  __builtin_unreachable();
}

// The console's own lock may be the one: from here on this CPU prints without it.
void SpinLock::stuck() const noexcept {
  console::take_over();
  explain_stuck_lock({.name = name_,
                      .owner_cpu = this_cpu().index,
                      .this_cpu = this_cpu().index,
                      .acquired_at = strip(taken_at_),
                      .wanted_at = strip(reinterpret_cast<std::uint64_t>(__builtin_return_address(0)))});
  trace_area::dump_to_console(kDumpedRecords);
  finish_failed("CPU {} waits for the lock \"{}\", which it holds itself", this_cpu().index, name_);
}

}  // namespace arm_vcpu::hv

extern "C" void arm_vcpu_el2_panic(const arm_vcpu::El2PanicFrame* frame) {
  using namespace arm_vcpu::hv;
  PerCpu& cpu = this_cpu();
  ++cpu.panics;
  if (cpu.panics > 2) host_psci::system_off();
  console::take_over();
  if (cpu.panics == 2) finish_failed("EL2 panic in the panic report on CPU {}, ELR_EL2 {:x}", cpu.index, frame->elr);
  if (arm_vcpu::Aarch64VCpu* const vcpu = physical_cpu().current(); vcpu != nullptr) vcpu->abandon_exit();
  report_cause(*frame, cpu);
  report_registers(*frame);
  report_diagnosis(*frame, cpu, report_backtrace(*frame, cpu));
  trace_area::dump_to_console(kDumpedRecords);
  finish_failed("EL2 panic on CPU {} at {}: {}", cpu.index, CodeAddress{frame->elr}.text.view(), cause_of(*frame, cpu));
}
