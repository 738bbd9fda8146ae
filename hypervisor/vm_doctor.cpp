// SPDX-License-Identifier: Apache-2.0
#include "vm_doctor.hpp"

#include "arm_vcpu/el2/gic_hw.hpp"
#include "arm_vcpu/el2/sysreg.hpp"
#include "console.hpp"
#include "layout.hpp"
#include "per_cpu.hpp"
#include "trace_area.hpp"
#include "vm.hpp"

namespace arm_vcpu::hv {
namespace {

// A list is too large for a stack, and one report at a time is enough.
constinit SpinLock g_report_lock;
constinit diag::DiagnosisList g_list{};

constexpr std::size_t kRecordsShown = 256;  // to the rules
constinit std::array<trace::Record, kRecordsShown> g_records{};

class ConsoleLines final : public diag::LineSink {
 public:
  void line(std::string_view text) noexcept override { detail::log_line(Level::info, text); }
};

// The guest's memory as EL2 sees it: RAM only, devices are not read.
class GuestView final : public diag::MemoryView {
 public:
  explicit GuestView(const GuestMemory& memory, std::span<const diag::RamRange> ram) noexcept
      : memory_{memory}, ram_{ram} {}

  [[nodiscard]] std::optional<stage2::Walk> translate(std::uint64_t ipa) const noexcept override {
    return memory_.translate(ipa);
  }

  [[nodiscard]] std::optional<std::uint64_t> read(std::uint64_t ipa, unsigned bytes) const noexcept override {
    for (const diag::RamRange& range : ram_) {
      if (!range.contains(ipa) || !range.contains(ipa + bytes - 1)) continue;
      std::uint64_t value = 0;
      const auto* at = pointer_to<const volatile std::uint8_t>(range.pa + (ipa - range.ipa));
      for (unsigned i = 0; i < bytes; ++i) value |= std::uint64_t{at[i]} << (8 * i);
      return value;
    }
    return std::nullopt;
  }

 private:
  const GuestMemory& memory_;
  std::span<const diag::RamRange> ram_;
};

// The last records of the calling CPU's ring in one piece, oldest first.
std::span<const trace::Record> last_records() noexcept {
  const trace::Ring* const ring = trace_area::ring(this_cpu().index);
  if (ring == nullptr) return {};
  const std::uint64_t end = ring->end();
  const std::uint64_t kept = end - ring->first();
  const std::uint64_t count = kept < kRecordsShown ? kept : kRecordsShown;
  for (std::uint64_t i = 0; i < count; ++i) g_records[i] = ring->at(end - count + i);
  return {g_records.data(), static_cast<std::size_t>(count)};
}

}  // namespace

// --- VcpuWatch ------------------------------------------------------------------------------------------------------

void VcpuWatch::reset() noexcept {
  loops_.reset();
  storms_.reset();
  reported_ = false;
}

VcpuWatch::Finding VcpuWatch::look(const VcpuSlot& slot) noexcept {
  const trace::Ring* const ring = trace_area::ring(this_cpu().index);
  if (ring == nullptr) return Finding::none;
  if (next_ < ring->first()) {
    // What was overwritten may have been progress.
    next_ = ring->first();
    loops_.reset();
  }
  Finding found = Finding::none;
  const std::uint64_t hz = trace_area::header()->counter_hz;
  for (const std::uint64_t end = ring->end(); next_ < end; ++next_) {
    const trace::Record& record = ring->at(next_);
    if (record.vm != slot.vm->id() || record.vcpu != slot.index) continue;
    if (loops_.feed(record)) found = Finding::exit_loop;
    if (storms_.feed(record, hz) != diag::StormDetector::Kind::none && found == Finding::none) found = Finding::storm;
  }
  if (found == Finding::none || reported_) return Finding::none;
  reported_ = true;
  return found;
}

bool VcpuWatch::is_hopeless() const noexcept {
  const auto kind = storms_.storm().kind;
  return kind == diag::StormDetector::Kind::vectors_unmapped || kind == diag::StormDetector::Kind::handler_in_vector;
}

// --- VmDoctor -------------------------------------------------------------------------------------------------------

void VmDoctor::forget() noexcept {
  seen_count_ = 0;
  cut_off_ = false;
}

void VmDoctor::learn_configuration() noexcept {
  ram_count_ = device_count_ = loaded_count_ = 0;
  ram_[ram_count_++] = {"RAM", vm_.ram_.ipa, vm_.ram_.pa, vm_.ram_.bytes};
  if (vm_.flash_.bytes != 0) ram_[ram_count_++] = {"flash", vm_.flash_.ipa, vm_.flash_.pa, vm_.flash_.bytes, false};
  const auto device = [&](std::string_view name, const IpaRange& range, AccessWidths widths) {
    devices_[device_count_++] = {name, range.base, range.bytes, widths};
  };
  device("intc@8000000 distributor", guest_machine::kGicd, kAllWidths);
  device("intc@8000000 redistributors", {guest_machine::kGicr.base, 0x20000 * std::uint64_t{vm_.vcpu_count_}},
         kAllWidths);
  device("pl011@9000000", guest_machine::kUart, kWidthsUpToWord);
  const auto loaded = [&](std::string_view name, const IpaRange& range) {
    if (range.bytes != 0) loaded_[loaded_count_++] = {name, range.base, range.bytes};
  };
  loaded(vm_.config_.kernel ? "kernel" : "firmware", vm_.layout_.kernel);
  loaded("initrd", vm_.layout_.ramdisk);
  loaded("device tree", vm_.layout_.dtb);
  hypervisor_[0] = {"hypervisor image", image_range().base, image_range().bytes};
  hypervisor_[1] = {"exit recorder", trace_area::header()->area_pa, trace_area::header()->area_bytes};
  for (unsigned i = 0; i < vm_.vcpu_count_; ++i) mpidrs_[i] = guest_machine::affinity_of(i);
  tree_ = diag::read_device_tree_facts({vm_.ram_.at(vm_.layout_.dtb.base), vm_.layout_.dtb.bytes});
  configuration_ = {.ram = std::span{ram_}.first(ram_count_),
                    .devices = std::span{devices_}.first(device_count_),
                    .loaded = std::span{loaded_}.first(loaded_count_),
                    .hypervisor = hypervisor_,
                    .entry = vm_.layout_.entry,
                    .dtb = vm_.layout_.dtb.base,
                    .device_tree = &tree_,
                    .image_header = vm_.config_.kernel && vm_.config_.kernel->header ? &*vm_.config_.kernel->header
                                                                                     : nullptr,
                    .mpidrs = std::span{mpidrs_}.first(vm_.vcpu_count_),
                    .ipa_bits = vm_.memory_->layout().ipa_bits,
                    .passthrough_interrupt = false,
                    .passthrough_timer = false,
                    .cntvoff_el2 = vm_.cntvoff_};
}

bool VmDoctor::is_new(const diag::Diagnosis& found) noexcept {
  const std::uint64_t pc = found.pc().value_or(0);
  for (std::size_t i = 0; i < seen_count_; ++i) {
    if (seen_[i].code == found.code() && seen_[i].pc == pc) return false;
  }
  if (seen_count_ == kMaxReports) {
    if (!cut_off_) log(Level::warn, "vm{}: {} diagnoses are enough; no more are printed", vm_.id(), kMaxReports);
    cut_off_ = true;
    return false;
  }
  seen_[seen_count_++] = {found.code(), pc};
  return true;
}

std::optional<diag::Code> VmDoctor::examine(VcpuSlot* slot, const diag::Trigger& why) noexcept {
  const LockGuard guard{g_report_lock};
  const GuestView view{*vm_.memory_, configuration_.ram};
  VcpuSlot& subject = slot != nullptr ? *slot : vm_.slots_[0];
  Aarch64VCpu& vcpu = *subject.vcpu;
  const Requirements requirements{.ipa_bits = configuration_.ipa_bits};
  diag::CapturedState state{.vm_name = vm_.name(),
                            .vm = vm_.id(),
                            .vcpu = subject.index,
                            .counter_hz = el2::counter_hz(),
                            .exit = &vcpu.exit_frame(),
                            .capabilities = &vcpu.capabilities(),
                            .requirements = &requirements,
                            .configuration = &configuration_,
                            .memory = &view,
                            .records = {}};
  std::array<arm_vcpu::gic::IchLr, arm_vcpu::gic::kMaxListRegisters> lrs{};
  if (vcpu.is_bound()) {
    vcpu.refresh_system_registers();
    state.run = diag::RunState{.bound = true};
    state.timer = diag::TimerSnapshot{.cntv_ctl_el0 = vcpu.system_registers().cntv_ctl_el0,
                                      .cntv_cval_el0 = vcpu.system_registers().cntv_cval_el0,
                                      .cntvoff_el2 = vm_.cntvoff_,
                                      .now = el2::counter_ticks()};
    const unsigned count = vcpu.capabilities().list_registers();
    for (unsigned n = 0; n < count; ++n) lrs[n] = el2::GicHw::read_ich_lr(n);
    state.interrupts = diag::InterruptSnapshot{.lr = std::span{lrs}.first(count),
                                               .hcr = el2::GicHw::read_ich_hcr(),
                                               .misr = el2::GicHw::read_ich_misr(),
                                               .vmcr = el2::GicHw::read_ich_vmcr(),
                                               .irqs = {}};
    state.records = last_records();
  }
  state.registers = &vcpu.system_registers();
  if (std::holds_alternative<diag::trigger::HealthCheck>(why) && !vcpu.is_bound()) {
    diag::preflight(state, g_list);
  } else {
    diag::diagnose(state, why, g_list);
  }
  ConsoleLines lines;
  for (const diag::Diagnosis& found : g_list) {
    if (!is_new(found)) continue;
    if (vcpu.is_bound()) {
      vcpu.record({.pc = found.pc().value_or(0), .data = static_cast<std::uint64_t>(found.code()),
                   .kind = trace::Kind::diagnosis});
    }
    diag::render(found, state, lines);
  }
  return g_list.empty() ? std::nullopt : std::optional{g_list[0].code()};
}

std::optional<diag::Code> VmDoctor::preflight() noexcept {
  (void)examine(nullptr, diag::trigger::HealthCheck{});
  for (const diag::Diagnosis& found : g_list) {
    if (found.confidence() == diag::Confidence::certain) return found.code();
  }
  return std::nullopt;
}

// --- without a VM ---------------------------------------------------------------------------------------------------

void explain_start_up_error(std::string_view vm_name, const Error& error, unsigned ipa_bits) noexcept {
  const LockGuard guard{g_report_lock};
  const Capabilities capabilities = probe();
  const Requirements requirements{.ipa_bits = ipa_bits};
  const diag::CapturedState state{.vm_name = vm_name, .capabilities = &capabilities, .requirements = &requirements,
                                  .records = {}};
  diag::diagnose(state, diag::trigger::StartUpError{error}, g_list);
  ConsoleLines lines;
  for (const diag::Diagnosis& found : g_list) diag::render(found, state, lines);
}

void explain_crash(const diag::trigger::HypervisorCrash& crash) noexcept {
  diag::CapturedState state{.vm_name = "hypervisor", .records = last_records()};
  diag::diagnose(state, crash, g_list);
  ConsoleLines lines;
  if (!g_list.empty()) diag::render(g_list[0], state, lines);
}

}  // namespace arm_vcpu::hv
