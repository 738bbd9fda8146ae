// SPDX-License-Identifier: Apache-2.0
#include "vm_doctor.hpp"

#include <algorithm>

#include "arm_vcpu/el2/sysreg.hpp"
#include "arm_vcpu/trace/diagnosis_replay.hpp"
#include "console.hpp"
#include "cpu_loop.hpp"
#include "gic.hpp"
#include "guest_gic.hpp"
#include "layout.hpp"
#include "per_cpu.hpp"
#include "trace_area.hpp"

#include "vm.hpp"

namespace arm_vcpu::hv {
namespace {

// A list is too large for a stack, and one report at a time is enough.
constinit SpinLock g_report_lock{"diagnosis"};
constinit diag::DiagnosisList g_list{};

constexpr std::size_t kRecordsShown = 1024;  // to the rules
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

// The last records of a ring up to `end`, in one piece, oldest first.
std::span<const trace::Record> records_of(const trace::Ring* ring, std::optional<std::uint64_t> up_to = {}) noexcept {
  if (ring == nullptr) return {};
  const std::uint64_t end = up_to.value_or(ring->end());
  const std::uint64_t first = ring->first();
  const std::uint64_t kept = end > first ? end - first : 0;
  const std::uint64_t count = kept < kRecordsShown ? kept : kRecordsShown;
  for (std::uint64_t i = 0; i < count; ++i) g_records[i] = ring->at(end - count + i);
  return {g_records.data(), static_cast<std::size_t>(count)};
}
std::span<const trace::Record> last_records() noexcept {
  return records_of(trace_area::ring(this_cpu().index));
}

// Those of a vCPU's interrupts that are not idle, and its timer's.
constexpr std::size_t kInterruptsShown = 48;
constinit std::array<diag::InterruptView, kInterruptsShown> g_interrupts{};

// Exits that the vCPU answers with an undefined instruction exception by itself; run() does not return for them.
bool is_made_undefined(const trace::Record& record) noexcept {
  const Ec ec = Esr::from(record.esr).get<Esr::EC>();
  return record.kind == trace::Kind::exit_sync && record.outcome == trace::Outcome::injected && ec != Ec::sysreg &&
         ec != Ec::data_abort_lower && ec != Ec::instruction_abort_lower;
}
bool is_call(const trace::Record& record, Ec ec) noexcept {
  return record.kind == trace::Kind::exit_sync && Esr::from(record.esr).get<Esr::EC>() == ec;
}

}  // namespace

// --- VcpuWatch ------------------------------------------------------------------------------------------------------

void VcpuWatch::reset() noexcept {
  loops_.reset();
  storms_.reset();
  smc_.reset();
  last_failure_ = {};
  repeated_ = 0;
  reported_ = false;
}

// The few that a look may examine: a guest that makes nothing but refused calls must not keep us busy.
constexpr unsigned kExaminedAtOnce = 4;
constexpr unsigned kInsistent = 80;

void VcpuWatch::examine_record(VcpuSlot& slot, VmDoctor& doctor, std::uint64_t number, unsigned& examined) noexcept {
  const trace::Ring& ring = *trace_area::ring(this_cpu().index);
  const trace::Record record = ring.at(number);
  const bool same =
      record.pc == last_failure_.pc && record.esr == last_failure_.esr && record.data == last_failure_.data;
  repeated_ = same ? repeated_ + 1 : 0;
  last_failure_ = record;
  // The first of a kind; and the one by which asking has become insisting.
  if ((same && repeated_ != kInsistent) || examined == kExaminedAtOnce) return;
  ++examined;
  const diag::RecordState from{record};
  const VmDoctor::Past past{.frame = &from.exit(), .records_end = number + 1};
  if (is_call(record, Ec::smc64)) {
    // What the record does not have is not made up: X1 to X3 are those of now only when it is the last exit.
    (void)doctor.examine(
        &slot,
        diag::trigger::Call{.x = {record.data, 0, 0, 0},
                            .conduit = diag::Conduit::smc,
                            .immediate = CallIss::from(Esr::from(record.esr).get<Esr::ISS>()).get<CallIss::imm16>(),
                            .answer = -1},
        past);
  } else if (const auto why = from.trigger({})) {
    (void)doctor.examine(&slot, *why, past);
  }
}

VcpuWatch::Finding VcpuWatch::look(VcpuSlot& slot, VmDoctor& doctor) noexcept {
  const trace::Ring* const ring = trace_area::ring(this_cpu().index);
  if (ring == nullptr) return Finding::none;
  if (next_ < ring->first()) {
    // What was overwritten may have been progress.
    next_ = ring->first();
    loops_.reset();
  }
  Finding found = Finding::none;
  unsigned examined = 0;
  const std::uint64_t hz = trace_area::header()->counter_hz;
  for (const std::uint64_t end = ring->end(); next_ < end; ++next_) {
    const trace::Record& record = ring->at(next_);
    if (record.vm != slot.vm->id() || record.vcpu != slot.index) continue;
    if (smc_ && record.kind != trace::Kind::psci_call && record.kind != trace::Kind::smc_forwarded) {
      examine_record(slot, doctor, *smc_, examined);
    }
    const bool asks_firmware = is_call(record, Ec::smc64) && record.outcome != trace::Outcome::answered;
    smc_ = asks_firmware ? std::optional{next_} : std::nullopt;
    const bool refused = record.kind == trace::Kind::psci_call && static_cast<std::int32_t>(record.data >> 32) < 0;
    if (refused || is_made_undefined(record)) examine_record(slot, doctor, next_, examined);
    if (loops_.feed(record, hz)) found = Finding::exit_loop;
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
  call_count_ = 0;
  cut_off_.store(false, std::memory_order_relaxed);
  examinations_.store(0, std::memory_order_relaxed);
  for (auto& key : examined_) key.store(0, std::memory_order_relaxed);
}

void VmDoctor::learn_configuration() noexcept {
  ram_count_ = device_count_ = loaded_count_ = 0;
  ram_[ram_count_++] = {"RAM", vm_.ram_.ipa, vm_.ram_.pa, vm_.ram_.bytes};
  if (vm_.flash_.bytes != 0) ram_[ram_count_++] = {"flash", vm_.flash_.ipa, vm_.flash_.pa, vm_.flash_.bytes, false};
  const auto device = [&](std::string_view name, const IpaRange& range, AccessWidths widths) {
    devices_[device_count_++] = {name, range.base, range.bytes, widths};
  };
  if (vm_.gicv_.bytes != 0) {  // the CPU interface, but for its page of GICC_DIR, is no business of ours
    device("intc@8000000 distributor", {guest_machine::kGicd.base, arm_vcpu::gic::kGicV2DistributorBytes}, kAllWidths);
    device("intc@8000000 GICC_DIR", {vm_.gicv_.ipa + vm_.gicv_.bytes, vm_.gicv_.bytes}, kAllWidths);
  } else {
    device("intc@8000000 distributor", guest_machine::kGicd, kAllWidths);
    device("intc@8000000 redistributors", {guest_machine::kGicr.base, 0x20000 * std::uint64_t{vm_.vcpu_count_}},
           kAllWidths);
  }
  device("pl011@9000000", guest_machine::kUart, kWidthsUpToWord);
  if (vm_.config_.scratch_device) device("scratch@a000000", guest_machine::kScratch, kAllWidths);
  const auto loaded = [&](std::string_view name, const IpaRange& range) {
    if (range.bytes != 0) loaded_[loaded_count_++] = {name, range.base, range.bytes};
  };
  loaded(vm_.config_.kernel ? "kernel" : "firmware", vm_.layout_.kernel);
  loaded("initrd", vm_.layout_.ramdisk);
  loaded("device tree", vm_.layout_.dtb);
  hypervisor_[0] = {"hypervisor image", image_range().base, image_range().bytes};
  hypervisor_[1] = {"exit recorder", trace_area::header()->area_pa, trace_area::header()->area_bytes};
  for (unsigned i = 0; i < vm_.vcpu_count_; ++i) mpidrs_[i] = guest_machine::affinity_of(i);
  configuration_ = {
      .ram = std::span{ram_}.first(ram_count_),
      .devices = std::span{devices_}.first(device_count_),
      .loaded = std::span{loaded_}.first(loaded_count_),
      .hypervisor = hypervisor_,
      .entry = vm_.layout_.entry,
      .dtb = vm_.layout_.dtb.base,
      .device_tree = &tree_,
      .image_header = vm_.config_.kernel && vm_.config_.kernel->header ? &*vm_.config_.kernel->header : nullptr,
      .mpidrs = std::span{mpidrs_}.first(vm_.vcpu_count_),
      .ipa_bits = vm_.memory_->layout().ipa_bits,
      .passthrough_interrupt = false,
      .passthrough_timer = true,
      .cntvoff_el2 = vm_.cntvoff_};
  spoil_configuration();
  tree_ = diag::read_device_tree_facts({vm_.ram_.at(vm_.layout_.dtb.base), vm_.layout_.dtb.bytes});
}

bool VmDoctor::is_first_call(std::uint64_t pc, std::uint64_t function) noexcept {
  for (std::size_t i = 0; i < call_count_; ++i) {
    if (calls_[i].pc == pc && calls_[i].function == function) return false;
  }
  if (call_count_ == calls_.size()) return false;
  calls_[call_count_++] = {pc, function};
  return true;
}

bool VmDoctor::is_new(const diag::Diagnosis& found) noexcept {
  const std::uint64_t pc = found.pc().value_or(0);
  for (std::size_t i = 0; i < seen_count_; ++i) {
    if (seen_[i].code == found.code() && seen_[i].pc == pc) return false;
  }
  if (seen_count_ == kMaxReports) {
    if (!cut_off_.exchange(true, std::memory_order_relaxed)) {
      log(Level::warn, "vm{}: {} diagnoses are enough; no more are printed", vm_.id(), kMaxReports);
    }
    return false;
  }
  seen_[seen_count_++] = {found.code(), pc};
  return true;
}

std::span<const diag::InterruptView> VmDoctor::view_interrupts(unsigned vcpu) noexcept {
  const LockGuard guard{vm_.lock_};
  const std::uint64_t groups = vm_.vgic_->mmio_read(vcpu, guest_machine::kGicd.base, AccessWidth::word).value;
  std::size_t count = 0;
  const auto add = [&](std::uint32_t intid, const VgicIrq& irq) {
    const bool idle = !irq.pending() && !irq.active && !irq.in_lr && irq.queued_at == kVgicNoCpu;
    // A guest may make active what has no target: there is no queue to be in.
    const bool is_nobodys = irq.target == kVgicNoCpu && irq.holder == kVgicNoCpu;
    if ((idle && intid != guest_machine::kVirtualTimerIntid) || count == g_interrupts.size()) return;
    g_interrupts[count++] = {.intid = intid,
                             .enabled = irq.enabled,
                             .pending = irq.pending(),
                             .active = irq.active,
                             .in_lr = irq.in_lr,
                             .queued = irq.queued_at != kVgicNoCpu || is_nobodys,
                             .routed = irq.target != kVgicNoCpu && (groups >> (irq.group1 ? 1 : 0) & 1) != 0};
  };
  const VgicCpu& cpu = vm_.vgic_cpus_[vcpu];
  for (std::uint32_t i = 0; i < cpu.irqs.size(); ++i) add(i, cpu.irqs[i]);
  for (std::uint32_t i = 0; i < vm_.vgic_spis_.size(); ++i) add(arm_vcpu::gic::kPrivateCount + i, vm_.vgic_spis_[i]);
  return std::span{g_interrupts}.first(count);
}

bool VmDoctor::sleeps_for_good(const VcpuSlot& slot) noexcept {
  for (unsigned i = 0; i < vm_.vcpu_count_; ++i) {
    if (i != slot.index && vm_.power_->state(i) != PowerState::off) return false;
  }
  const LockGuard guard{vm_.lock_};
  for (const VgicIrq& irq : vm_.vgic_cpus_[slot.index].irqs) {
    if (irq.enabled && !irq.by_source) return false;  // SGIs of a GICv2 are always enabled; nobody is there to send one
  }
  return std::ranges::none_of(vm_.vgic_spis_, [](const VgicIrq& irq) { return irq.enabled; });
}

// What a guest is refused, it can be refused a million times a second, and an examination takes a millisecond under a
// lock that all VMs share: one for each place and syndrome, and not for ever. `is_live`: of the exit at hand.
bool VmDoctor::is_worth_it(const VcpuSlot& slot, const diag::Trigger& why, bool is_live) noexcept {
  std::uint64_t detail = 0;
  if (const auto* access = std::get_if<diag::trigger::MmioFailure>(&why)) {
    detail = static_cast<std::uint64_t>(access->outcome);
  } else if (const auto* call = std::get_if<diag::trigger::Call>(&why)) {
    detail = call->x[0];
  } else if (!std::holds_alternative<diag::trigger::StageTwoFault>(why) &&
             !std::holds_alternative<diag::trigger::UndefinedInjected>(why)) {
    return true;
  }
  if (cut_off_.load(std::memory_order_relaxed)) return false;
  if (is_live) {
    constexpr std::uint64_t kMix = 0x9E37'79B9'7F4A'7C15;  // 2^64 over the golden ratio: Knuth's multiplicative hash
    const ExitFrame& exit = slot.vcpu->exit_frame();
    std::uint64_t key = why.index() + 1;
    for (const std::uint64_t part : {exit.frame.elr, exit.esr.raw, detail}) key = (key ^ part) * kMix;
    auto& place = examined_[key >> 58];
    if (place.exchange(key, std::memory_order_relaxed) == key) return false;
  }
  return examinations_.fetch_add(1, std::memory_order_relaxed) < kMaxExaminations;
}

std::optional<diag::Code> VmDoctor::examine(VcpuSlot* slot, const diag::Trigger& why, const Past& past) noexcept {
  if (slot != nullptr && !is_worth_it(*slot, why, past.frame == nullptr)) return std::nullopt;
  const LockGuard guard{g_report_lock};
  const GuestView view{*vm_.memory_, configuration_.ram};
  VcpuSlot& subject = slot != nullptr ? *slot : vm_.slots_[0];
  Aarch64VCpu& vcpu = *subject.vcpu;
  const Requirements requirements{.ipa_bits = configuration_.ipa_bits};
  diag::CapturedState state{.vm_name = vm_.name(),
                            .vm = vm_.id(),
                            .vcpu = subject.index,
                            .counter_hz = el2::counter_hz(),
                            .exit = past.frame != nullptr ? past.frame : &vcpu.exit_frame(),
                            .capabilities = &vcpu.capabilities(),
                            .requirements = &requirements,
                            .configuration = &configuration_,
                            .memory = &view,
                            .records = {}};
  std::array<arm_vcpu::gic::IchLr, arm_vcpu::gic::kMaxListRegisters> lrs{};
  GuestSystemRegisters registers = vcpu.system_registers();
  if (vcpu.is_bound()) {
    vcpu.refresh_system_registers();
    // What was programmed for the guest, as this CPU has it, not as it should be.
    registers = vcpu.system_registers();
    registers.hcr_el2 = VCPU_READ_SYSREG(hcr_el2);
    registers.vtcr_el2 = VCPU_READ_SYSREG(vtcr_el2);
    registers.vttbr_el2 = VCPU_READ_SYSREG(vttbr_el2);
    registers.cntvoff_el2 = VCPU_READ_SYSREG(cntvoff_el2);
    state.run = diag::RunState{.bound = true, .parked = past.parked_since.has_value(), .since = past.parked_since};
    const VgicIrq& timer = vm_.vgic_cpus_[subject.index].irqs[guest_machine::kVirtualTimerIntid];
    state.timer = diag::TimerSnapshot{.cntv_ctl_el0 = vcpu.system_registers().cntv_ctl_el0,
                                      .cntv_cval_el0 = vcpu.system_registers().cntv_cval_el0,
                                      .cntvoff_el2 = registers.cntvoff_el2,
                                      .now = el2::counter_ticks(),
                                      .physical = gic::private_state(timer.physical_intid)};
    const unsigned count = vcpu.capabilities().list_registers();
    state.interrupts = with_gic(subject, [&](auto& gic) noexcept {
      for (unsigned n = 0; n < count; ++n) lrs[n] = gic.read_ich_lr(n);
      return diag::InterruptSnapshot{.lr = std::span{lrs}.first(count),
                                     .hcr = gic.read_ich_hcr(),
                                     .misr = gic.read_ich_misr(),
                                     .vmcr = gic.read_ich_vmcr()};
    });
    state.interrupts->irqs = view_interrupts(subject.index);
    state.scheduler = this_cpu_loop().snapshot();
    state.records = records_of(trace_area::ring(this_cpu().index), past.records_end);
  }
  state.registers = &registers;
  if (std::holds_alternative<diag::trigger::HealthCheck>(why) && !vcpu.is_bound()) {
    diag::preflight(state, g_list);
  } else {
    diag::diagnose(state, why, g_list);
  }
  ConsoleLines lines;
  for (const diag::Diagnosis& found : g_list) {
    if (!is_new(found)) continue;
    if (vcpu.is_bound()) {
      vcpu.record({.pc = found.pc().value_or(0),
                   .data = static_cast<std::uint64_t>(found.code()),
                   .kind = trace::Kind::diagnosis});
    }
    diag::render(found, state, lines);
  }
  return g_list.empty() ? std::nullopt : std::optional{g_list[0].code()};
}

std::optional<diag::Code> VmDoctor::preflight() noexcept {
  spoil_vm();
  (void)examine(nullptr, diag::trigger::HealthCheck{});
  for (const diag::Diagnosis& found : g_list) {
    if (found.confidence() == diag::Confidence::certain) return found.code();
  }
  return std::nullopt;
}

// --- without a VM ---------------------------------------------------------------------------------------------------

void explain_this_cpu(const Requirements& wanted) noexcept {
  const Result<> supported = check_hardware_support(probe(), wanted);
  if (!supported) explain_start_up_error("hypervisor", supported.error(), Requirements{}.ipa_bits);
}

void explain_former_run() noexcept {
  const trace_area::FormerRun& former = trace_area::former_run();
  if (former.header == nullptr) return;
  const LockGuard guard{g_report_lock};
  const diag::CapturedState state{
      .vm_name = "former run", .counter_hz = former.header->counter_hz, .records = records_of(former.last_ring)};
  diag::diagnose(state, diag::trigger::UncleanReset{former.header->boot_count + 1}, g_list);
  ConsoleLines lines;
  for (const diag::Diagnosis& found : g_list) diag::render(found, state, lines);
}

void explain_start_up_error(std::string_view vm_name, const Error& error, unsigned ipa_bits) noexcept {
  const LockGuard guard{g_report_lock};
  const Capabilities capabilities = probe();
  const Requirements requirements{.ipa_bits = ipa_bits};
  const diag::CapturedState state{
      .vm_name = vm_name, .capabilities = &capabilities, .requirements = &requirements, .records = {}};
  diag::diagnose(state, diag::trigger::StartUpError{error}, g_list);
  ConsoleLines lines;
  for (const diag::Diagnosis& found : g_list) diag::render(found, state, lines);
}

void explain_stuck_lock(const diag::trigger::StuckLock& stuck) noexcept {
  const diag::CapturedState state{.vm_name = "hypervisor", .records = last_records()};
  diag::diagnose(state, stuck, g_list);
  ConsoleLines lines;
  if (!g_list.empty()) diag::render(g_list[0], state, lines);
}

void explain_crash(const diag::trigger::HypervisorCrash& crash) noexcept {
  diag::CapturedState state{.vm_name = "hypervisor", .records = last_records()};
  diag::diagnose(state, crash, g_list);
  ConsoleLines lines;
  if (!g_list.empty()) diag::render(g_list[0], state, lines);
}

}  // namespace arm_vcpu::hv
