// SPDX-License-Identifier: Apache-2.0
// The virtual CPU.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "arm_vcpu/arch/id_registers.hpp"
#include "arm_vcpu/arch/registers.hpp"
#include "arm_vcpu/arch/sysreg_id.hpp"
#include "arm_vcpu/capabilities.hpp"
#include "arm_vcpu/debug_registers.hpp"
#include "arm_vcpu/emulation.hpp"
#include "arm_vcpu/exit_reason.hpp"
#include "arm_vcpu/guest_system_registers.hpp"
#include "arm_vcpu/per_cpu.hpp"
#include "arm_vcpu/pmu_state.hpp"
#include "arm_vcpu/psci.hpp"
#include "arm_vcpu/result.hpp"
#include "arm_vcpu/services.hpp"
#include "arm_vcpu/smc_filter.hpp"
#include "arm_vcpu/trace/ring.hpp"
#include "arm_vcpu/trap_frame.hpp"
#include "arm_vcpu/vector_answers.hpp"

namespace arm_vcpu {

// Where Aarch64VCpu::inject_interrupt() delivers: the VM's interrupt controller.
class VirtualInterrupts {
 public:
  // Makes `intid` pending for vCPU `vcpu_index` (SGIs, PPIs) or for the CPU that it is routed to (SPIs, LPIs).
  [[nodiscard]] virtual Result<> inject(unsigned vcpu_index, std::uint32_t intid) noexcept = 0;

 protected:
  ~VirtualInterrupts() = default;
};

class Aarch64VCpu;

// Answers exits without run() returning. Called on the CPU that runs the vCPU, in the exit; for an instruction that is
// emulated, once for each of its accesses.
class ExitResponder {
 public:
  // Accesses to devices.
  struct Reply {
    bool done{};            // false: run() returns the access as an exit
    std::uint64_t value{};  // of a read; it is cut to the width
  };
  [[nodiscard]] virtual Reply read(std::uint64_t ipa, AccessWidth width) noexcept = 0;
  // `data` is cut to the width. False: run() returns the access as an exit.
  [[nodiscard]] virtual bool write(std::uint64_t ipa, AccessWidth width, std::uint64_t data) noexcept = 0;

  // `vcpu` is at a WFI that has no time-out. The vCPU that goes on in its place, after vcpu.hand_over() to it. Null:
  // run() returns Halt. Asked where the vectors answer (Vectors::answering).
  [[nodiscard]] virtual Aarch64VCpu* on_wait(Aarch64VCpu& vcpu) noexcept = 0;

 protected:
  ~ExitResponder() = default;
};

struct Aarch64VCpuCreateConfig {
  std::uint64_t mpidr_el1{};  // affinity fields only; RES1 bit 31 is added
  std::uint64_t dtb_addr{};   // IPA of the device tree, x0 at the first entry
};

// Z0 to Z31, P0 to P15 and FFR as SVE's own instructions store them, at the vector length of the VM; room for the
// longest. Their low 128 bits are V0 to V31. Storage of the caller, because few VMs need it.
inline constexpr unsigned kMaxSveBits = 2048;
struct alignas(16) SveState {
  std::array<std::byte, 32 * kMaxSveBits / 8 + 17 * kMaxSveBits / 64> registers{};
  std::uint64_t zcr_el1{};
};

struct Aarch64VCpuSetupConfig {
  bool passthrough_interrupt{};  // the guest owns the physical GIC: HCR_EL2.IMO and FMO stay 0
  // The EL1 physical timer is the guest's while it is bound: CNTP_* accesses are not trapped, and the registers are
  // switched with it. The caller delivers its interrupt, as the virtual timer's. False: somebody else has it, each
  // access is a SysRegRead or SysRegWrite exit, and vm::EmulatedTimer answers.
  bool passthrough_timer{};
  // WFI and WFIT do not trap: the physical CPU sleeps in the guest until an interrupt comes for either. For a vCPU that
  // has its CPU to itself; sleep_in_guest() changes it.
  bool sleeps_in_guest{};
  // The guest has the CPU's performance monitors, where there are any; the counters that MDCR_EL2.HPMN gives EL1 are
  // lent to it while it is bound. The caller delivers the overflow interrupt, a level. False: they are hidden.
  bool pmu{};
  std::uint64_t cntvoff_el2{};  // ticks: CNTVCT_EL0 == CNTPCT_EL0 - cntvoff_el2; the same for all vCPUs of a VM
  unsigned ipa_bits{};          // of the stage 2 it will run in; 0: not known yet. Caps what the guest reads as PARange
  unsigned vm_id{};             // names the VM in trace records
  unsigned index{};             // this vCPU's place in the VM and in `power`
  PowerDomain* power{};         // the VM's PSCI state; null: CPU_ON and CPU_OFF are the caller's
  VirtualInterrupts* interrupts{};  // null: inject_interrupt() writes a list register of the CPU that it is bound to
  // Where this vCPU's SVE registers are kept; outlives it. Null: the guest has no SVE. Of no effect on CPUs without.
  SveState* sve{};
  unsigned sve_bits{kMaxSveBits};  // the longest vector it can choose; a multiple of 128, up to kMaxSveBits
  // The guest has allocation tags (FEAT_MTE2, FEAT_MTE3), where the CPU has them. What its stage 2 maps then has tags
  // to read: the caller clears them before the guest gets the memory. False: they are hidden.
  bool mte{};
  PsciConfig psci{};
  ServiceConfig services{};
  SmcFilter smc_filter{};  // which SMCs reach the firmware; its list outlives the vCPU
};

// The stage-2 translation that a vCPU runs in. vm::Stage2 gives both values.
struct Stage2Root {
  std::uint64_t vttbr_el2{};
  std::uint64_t vtcr_el2{};
};

// V0 to V31, FPSR and FPCR.
struct alignas(16) FpSimdState {
  std::array<std::uint64_t, 64> v{};
  std::uint64_t fpsr{};
  std::uint64_t fpcr{};
};

// What the world switch in lib/el2 works on. While the guest runs, SP_EL2 points here.
struct alignas(64) VCpuContext : ExitFrame {
  std::uint64_t host_sp{};          // stack of the caller of run()
  std::uint64_t swap_ia_key{};      // not 0: EL2 has a pointer authentication key of its own
  std::uint64_t guest_ia_key[2]{};  // low, high
  std::uint64_t host_ia_key[2]{};
  trace::Record* open_record{};  // the exit that is being dealt with
  std::uint64_t trace_tag{};     // the last word of a record: VM, vCPU and usual outcome; without kind and number
  std::uint64_t handled{};       // exits after which the guest went on without run() returning
  // The last word of the record of an exit that the vector answered, without its number: by TrapKind.
  std::uint64_t answer_tag[2]{};
  trace::RingCursor trace_cursor{};       // of the CPU that this vCPU is bound to; null in it: the recorder is off
  const PublishedRegisters* published{};  // null: none
  DirectInterrupts* direct{};             // null while interrupts go the long way
  const DirectPeers* peers{};             // null: the vCPU has none
  RefusedCall refused{};
  std::uint32_t acknowledged{};         // INTID + 1 that the vector took and could not answer
  const std::uint64_t* id_registers{};  // by id_register_index(), before the first entry
};

// A virtual CPU. Not thread-safe: one CPU at a time uses it. Nothing in it allocates.
//
// Life: create -> setup -> set_ept_root, set_entry -> bind -> run ... run -> unbind. bind() to unbind() is the time its
// system registers are live on a CPU; run() switches the general-purpose registers only.
class Aarch64VCpu final : VCpuContext {
 public:
  // Move it only before the first bind(): CPUs hold its address from then on.
  Aarch64VCpu(Aarch64VCpu&&) noexcept = default;
  Aarch64VCpu(const Aarch64VCpu&) = delete;
  Aarch64VCpu& operator=(const Aarch64VCpu&) = delete;

  // Errors: bad_mpidr.
  [[nodiscard]] static Result<Aarch64VCpu> create(const Aarch64VCpuCreateConfig& config) noexcept;

  // Resets the vCPU to the architectural warm-reset state of EL1 (AArch64, MMU and caches off, DAIF masked).
  // Errors: already_bound; bad_sve_length; those of check_hardware_support() for this CPU.
  [[nodiscard]] Result<> setup(const Aarch64VCpuSetupConfig& config) noexcept;

  // The same state again, with the configuration of the last setup(); x0 is `argument`. Errors: not_set_up,
  // already_bound.
  [[nodiscard]] Result<> reset(std::uint64_t entry_ipa, std::uint64_t argument) noexcept;

  // Errors: bad_entry unless `ipa` is 4-byte aligned and, once a stage-2 root is set, below its IPA limit.
  [[nodiscard]] Result<> set_entry(std::uint64_t ipa) noexcept;

  // Errors: unaligned_stage2_root, unsupported_ipa_size, unsupported_granule, already_bound.
  [[nodiscard]] Result<> set_ept_root(Stage2Root root) noexcept;

  // Makes the vCPU's system registers those of this CPU, which `cpu` must describe. Errors: cpu_not_enabled,
  // not_set_up, no_entry, no_stage2_root, already_bound (also: another vCPU is bound here), fp_state_elsewhere,
  // sve_lengths_differ (from those of the CPU that it was bound to before: its vectors would change their length).
  [[nodiscard]] Result<> bind(Aarch64PerCpu& cpu) noexcept;

  // Saves them back and restores the host's. FP/SIMD stays live on this CPU until another vCPU needs it. Before the
  // bind() of the next vCPU the host's traps (HCR_EL2, CPTR_EL2, MDCR_EL2) need not come back: Next::vcpu leaves the
  // guest's, which are what EL2 runs with between two exits, and spares an ISB. Errors: not_bound.
  enum class Next : std::uint8_t { host, vcpu };
  [[nodiscard]] Result<> unbind(Next next = Next::host) noexcept;

  // unbind() of this vCPU, which is at a WFI and waits behind it, and bind() of `next`, without what they have in
  // common: for ExitResponder::on_wait(). can_hand_over_to(): both were bound to this CPU since their last reset, and
  // neither has debug registers or performance monitors that run. The physical CPU's interrupt controller and deadlines
  // are the caller's. The recorder gets all of it: that one waits and the other goes on, and the interrupt that it goes
  // on with, if `delivered`, the ICH_LR0_EL2 that the caller has written for it, is not 0.
  [[nodiscard]] bool can_hand_over_to(const Aarch64VCpu& next) const noexcept {
    return plain_on_ != nullptr && next.plain_on_ == plain_on_;
  }
  void hand_over(Aarch64VCpu& next, std::uint64_t delivered = 0) noexcept;

  // Saves this vCPU's live FP/SIMD registers to memory, so that it can move. Call on the CPU that holds them.
  void release_fp(Aarch64PerCpu& cpu) noexcept;

  // Enters the guest; returns at the next exit that the vCPU does not handle itself. If an ExitResponder has handed the
  // CPU over meanwhile, that exit is one of Aarch64PerCpu::current(). An access that was reported and
  // not completed is executed again. An instruction that the CPU does not describe is carried out here, by one exit for
  // each of its accesses to what stage 2 does not map and the responder does not answer; the guest is entered behind
  // it. Errors: not_bound.
  [[nodiscard]] Result<AxVCpuExitReason> run() noexcept {
    const AxVCpuExitReason* reason{};
    if (const Result<> entered = run(reason); !entered) {
      return std::unexpected(entered.error());
    }
    return *reason;
  }
  // The same without a copy: the reason stays in the vCPU that exited until its next run().
  [[nodiscard]] Result<> run(const AxVCpuExitReason*& reason) noexcept;

  // Answers. Each moves the PC past the instruction; of an instruction with several accesses, the last one does.
  // Errors: no_access_pending.
  [[nodiscard]] Result<> complete_mmio_read(std::uint64_t value) noexcept;  // cut to the width, then extended
  [[nodiscard]] Result<> complete_mmio_write() noexcept;
  [[nodiscard]] Result<> complete_sysreg_read(std::uint64_t value) noexcept;
  [[nodiscard]] Result<> complete_sysreg_write() noexcept;

  // x0 to x30. Errors: bad_register.
  [[nodiscard]] Result<> set_gpr(unsigned index, std::uint64_t value) noexcept;
  void set_return_value(std::uint64_t value) noexcept { frame.gpr[0] = value; }

  // Makes an interrupt pending. Errors: bad_interrupt_id (SGIs 0-15, PPIs 16-31, SPIs 32-1019, LPIs 8192 and up are the
  // range; the interrupt controller may have less), not_bound without an interrupt controller, out_of_slots when every
  // list register is in use.
  [[nodiscard]] Result<> inject_interrupt(std::uint32_t intid) noexcept;

  // Makes the guest take an exception at EL1 instead of the instruction that exited, at the current PC, with ESR_EL1,
  // FAR_EL1, ELR_EL1, SPSR_EL1 and the vector that the architecture defines. [armarm] "Exception entry".
  // Errors: not_bound.
  [[nodiscard]] Result<> inject_undefined() noexcept;
  [[nodiscard]] Result<> inject_data_abort(std::uint64_t fault_address, Fsc fsc = Fsc::external,
                                           bool is_write = false) noexcept;
  [[nodiscard]] Result<> inject_instruction_abort(std::uint64_t fault_address, Fsc fsc = Fsc::external) noexcept;
  // Pends a virtual SError (HCR_EL2.VSE); the guest takes it when PSTATE.A allows. Errors: not_bound.
  [[nodiscard]] Result<> inject_serror() noexcept;

  [[nodiscard]] const ExitFrame& exit_frame() const noexcept { return *this; }
  [[nodiscard]] TrapFrame& trap_frame() noexcept { return frame; }
  [[nodiscard]] const TrapFrame& trap_frame() const noexcept { return frame; }
  // Of a bound vCPU the el1 group is live on its CPU: refresh_system_registers() copies it here first.
  [[nodiscard]] const GuestSystemRegisters& system_registers() const noexcept { return registers_; }
  void refresh_system_registers() noexcept;
  // The guest's own view of them; always current.
  [[nodiscard]] const DebugRegisters& debug_registers() const noexcept { return debug_; }
  // Whether the guest sees performance monitors.
  [[nodiscard]] bool has_pmu() const noexcept { return has_pmu_; }
  // Whether the guest sees allocation tags.
  [[nodiscard]] bool has_mte() const noexcept { return groups_.has(SysRegGroup::mte); }
  [[nodiscard]] std::uint64_t mpidr() const noexcept { return config_.mpidr_el1; }
  [[nodiscard]] unsigned index() const noexcept { return setup_.index; }
  [[nodiscard]] const Capabilities& capabilities() const noexcept { return capabilities_; }  // as of setup()
  [[nodiscard]] bool is_bound() const noexcept { return cpu_ != nullptr; }
  // Exits after which the guest went on without run() returning.
  [[nodiscard]] std::uint64_t handled_exits() const noexcept { return handled; }
  // What the vector may answer by itself (Vectors::answering); each may be null. They outlive the vCPU's last run().
  void set_vector_answers(const PublishedRegisters* registers, DirectInterrupts* interrupts,
                          const DirectPeers* others) noexcept {
    published = registers;
    direct = interrupts;
    peers = others;
  }
  // Whether WFI sleeps in the guest, from the next bind() on; Aarch64VCpuSetupConfig::sleeps_in_guest.
  void sleep_in_guest(bool sleeps) noexcept;
  // Whether the instruction before the PC is a WFI or WFIT, as it is of a guest that an interrupt for EL2 found asleep.
  // Reads the guest's memory; false where that cannot be read. Bound vCPUs that are out of run().
  [[nodiscard]] bool is_behind_wfi() const noexcept;
  // Null: every access to a device, and every WFI that traps, is an exit.
  void set_exit_responder(ExitResponder* responder) noexcept { responder_ = responder; }
  // Answers a Hypercall exit with NOT_SUPPORTED; from now on the vector does, for this function at this place.
  // [smccc] "Unknown Function Identifier"
  void refuse_hypercall() noexcept;
  // Puts an event of this vCPU into the recorder, if one is on; time, VM and vCPU are filled in. Bound vCPUs only.
  void record(const trace::Record& event) noexcept;
  // The same of an event that has no syndrome, for the paths that count instructions.
  void record(trace::Kind event, std::uint64_t pc, std::uint64_t data, std::uint64_t data1 = 0,
              std::uint64_t data2 = 0) noexcept;  // the last two in the places of FAR and HPFAR
  // The hypervisor crashed while it dealt with this vCPU's exit: the record of it says so.
  void abandon_exit() noexcept;
  // Exits of a class that the library does not expect, answered with UNDEF.
  [[nodiscard]] std::uint64_t unexpected_exits() const noexcept { return unexpected_exits_; }

 private:
  friend struct ExitPath;

  // An exit that waits for its answer.
  struct PendingAccess {
    enum class Kind : std::uint8_t { none, mmio_read, mmio_write, sysreg_read, sysreg_write, sysreg_read_pair } kind{};
    std::uint8_t reg{};
    AccessWidth width{};
    AccessWidth reg_width{};
    bool signed_ext{};
    bool emulated{};      // one access of `emulation_`
    std::uint8_t reg2{};  // upper half of a pair
  };

  // An instruction that is carried out here, access by access, since the CPU does not describe it.
  struct EmulatedAccess {
    std::uint64_t far{};       // FAR_ELx of an abort at its first byte
    std::uint64_t retry_pc{};  // where fetched instruction and syndrome disagreed last
    unsigned retries{};
    bool active{};
    bool answered{};  // the access that was reported
    bool is_el0{};    // its permissions
    bool pan{};
  };

  // Sanitised ID registers, by id_register_index().
  using IdRegisterFile = std::array<std::uint64_t, kIdRegisterCount>;

  Aarch64VCpu() = default;
  void reset_registers() noexcept;
  Result<> take_pending(PendingAccess::Kind wanted) noexcept;
  void inject_syndrome(Esr syndrome) noexcept;  // a synchronous exception at the current PC; bound vCPUs only
  void trap_memory_registers(bool trap) noexcept;
  void claim_fp() noexcept;
  void take_vectors(Aarch64PerCpu& cpu) noexcept;
  void bring_vectors(Aarch64PerCpu& cpu) noexcept;
  void exchange_with_vectors(Aarch64VCpu& next) noexcept;
  bool claim_pmu() noexcept;
  void apply_debug() noexcept;
  void choose_vectors() noexcept;
  [[nodiscard]] unsigned pmu_counters() const noexcept;
  void drop_access() noexcept {
    pending_ = {};
    emulated_.active = false;
  }

  // Emulation of one instruction (emulate.cpp). True: an exit is to be returned, in exit_.
  bool begin_emulation(std::uint64_t ipa) noexcept;
  bool resume_emulation() noexcept;
  struct Places;
  bool step_emulation(const Places* places) noexcept;
  bool ask_responder(const Emulation::Piece& piece, std::uint64_t ipa) noexcept;
  bool answer_emulated(PendingAccess::Kind wanted, std::uint64_t value) noexcept;
  void finish_emulation(bool in_handler) noexcept;
  bool retry_instruction(std::uint64_t ipa) noexcept;
  bool refuse_instruction(std::uint64_t ipa) noexcept;
  bool prepare_pages(std::uint64_t ipa, bool& any_unmapped, Places& places) noexcept;
  void report(const Emulation::Piece& piece, std::uint64_t ipa) noexcept;
  // The guest's IA key, where the exit has left it.
  void keep_ia_key() noexcept {
    if (swap_ia_key == 0) return;
    registers_.apiakeylo_el1 = guest_ia_key[0];
    registers_.apiakeyhi_el1 = guest_ia_key[1];
  }
  void note_plain() noexcept;
  void save_vectors() noexcept;
  void load_vectors() noexcept;
  [[nodiscard]] bool has_sve() const noexcept { return setup_.sve != nullptr; }
  [[nodiscard]] std::uint64_t cptr_when(bool owns_vectors) const noexcept;

  AxVCpuExitReason exit_;
  PendingAccess pending_;
  ExitResponder* responder_{};
  Aarch64PerCpu* cpu_{};     // bound to
  Aarch64PerCpu* fp_cpu_{};  // whose FP registers are this vCPU's
  // Where it is bound, or was last, if nothing has to be switched then but what hand_over() does.
  const Aarch64PerCpu* plain_on_{};
  GuestSystemRegisters registers_;
  GuestRegisterGroups groups_;
  Capabilities capabilities_;
  IdRegisterFile id_registers_{};
  Aarch64VCpuCreateConfig config_;
  Aarch64VCpuSetupConfig setup_;
  std::optional<std::uint64_t> entry_;
  std::uint64_t unexpected_exits_{};
  bool is_set_up_{};
  bool has_root_{};
  bool has_pmu_{};
  bool has_fp_{};
  bool vectors_are_zero_{};      // since the last reset: the FP and SVE registers have never been the guest's
  std::uint8_t vectors_come_{};  // so many more times the FP and SVE registers come with it: it has used them lately
  bool has_plain_vectors_{};
  bool pmu_was_loaded_{};                       // since the last reset: pmu_ may hold something
  bool pmu_is_live_{};                          // on the CPU that it is bound to
  std::optional<std::uint64_t> set_way_sweep_;  // the first operand of a sweep over the caches
  std::uint32_t sve_lengths_{};  // that it can choose from, once it was bound: Aarch64PerCpu::sve_lengths()
  FpSimdState fp_;               // with SVE only FPSR and FPCR are kept here
  DebugRegisters debug_;
  PmuState pmu_;
  EmulatedAccess emulated_;
  Emulation emulation_;
};

// The exit path. The vector calls vmexit_handler(), which calls the rest; a debugger can stop in each.
// Returns the vCPU that goes on in its guest: the exit is dealt with. Null: run() returns the reason in the vCPU.
extern "C" VCpuContext* vmexit_handler(VCpuContext* context) noexcept;
// Those that it calls: true, the guest goes on; false, the reason is in the vCPU.

// What the vector asks before: exits that a few loads can answer, of a guest in AArch64. [ADR]
// docs/adr/0015-answers-at-the-vector.md
enum class VectorAnswer : std::uint32_t {
  done = 0b000,           // of the registers that a function keeps, none changed
  done_all_gprs = 0b001,  // one of them may have changed
  none = 0b010,           // vmexit_handler() has to look
  waits = 0b101,          // vmexit_wait() knows who goes on; if it does not, vmexit_handler() has to look
};
// X0 is not used: the answer comes back in it, and neither argument has to be moved out of its way.
extern "C" VectorAnswer vmexit_answer_sync(std::uint64_t, VCpuContext* context, std::uint64_t esr) noexcept;
extern "C" VectorAnswer vmexit_answer_irq(VCpuContext* context) noexcept;
// A WFI without a time-out. The vCPU that goes on; null: nothing has been done.
extern "C" VCpuContext* vmexit_wait(VCpuContext* context) noexcept;
bool handle_exception_sync(Aarch64VCpu& vcpu) noexcept;
bool handle_data_abort(Aarch64VCpu& vcpu) noexcept;
bool handle_instruction_abort(Aarch64VCpu& vcpu) noexcept;
bool handle_system_register(Aarch64VCpu& vcpu) noexcept;
bool handle_hvc64_exception(Aarch64VCpu& vcpu) noexcept;
bool handle_smc64_exception(Aarch64VCpu& vcpu) noexcept;

// What handle_psci_call() did with a call.
enum class PsciHandling : std::uint8_t { not_psci, answered, exits };
PsciHandling handle_psci_call(Aarch64VCpu& vcpu) noexcept;

}  // namespace arm_vcpu
