// SPDX-License-Identifier: Apache-2.0
// Data aborts whose syndrome does not describe the access, or not all of it: the instruction is fetched, decoded, and
// carried out access by access, each answered by the responder in the exit, or reported as an exit. What is not certain
// to be what the CPU meant is executed again, or refused; nothing is guessed.
#include <memory>

#include "arm_vcpu/arch/load_store.hpp"
#include "arm_vcpu/decode.hpp"
#include "vcpu/hw.hpp"
#include "vcpu/recorder.hpp"

namespace arm_vcpu {
namespace {

using Kind = hw::GuestPlace::Kind;

// An instruction that another CPU changes between the fault and the fetch disagrees with the syndrome once. One that
// keeps disagreeing is one that we do not understand.
constexpr unsigned kMaxRetries = 16;

constexpr std::uint64_t page_of(std::uint64_t va) noexcept {
  return bits::align_down(va, 4096);
}

constexpr std::uint64_t at_page_of(std::uint64_t page, std::uint64_t address) noexcept {
  return page_of(page) | (address & 4095);
}

}  // namespace

// Where the first and the last page of the access lead, as prepare_pages() has just found them.
struct Aarch64VCpu::Places {
  bool is_write{};
  std::uint64_t first_page{}, last_page{};  // virtual
  hw::GuestPlace first, last;

  // Of an access that was looked at for the same; the other half of an atomic was not.
  [[nodiscard]] bool hold_for(bool write) const noexcept { return write == is_write; }
  [[nodiscard]] hw::GuestPlace at(std::uint64_t va) const noexcept {
    hw::GuestPlace place = page_of(va) == first_page ? first : last;
    place.address = at_page_of(place.address, va);
    return place;
  }
};

// The guest executes it again. [armarm] "Concurrent modification and execution of instructions"
bool Aarch64VCpu::retry_instruction(std::uint64_t ipa) noexcept {
  emulated_.active = false;
  emulated_.retries = emulated_.retry_pc == frame.elr ? emulated_.retries + 1 : 1;
  emulated_.retry_pc = frame.elr;
  return emulated_.retries > kMaxRetries && refuse_instruction(ipa);
}

// NestedPageFault: whoever runs the vCPU says what becomes of it. Also with a valid syndrome, where that does not tell
// the whole of the access: a MmioRead or MmioWrite would ask for an answer that nobody waits for.
bool Aarch64VCpu::refuse_instruction(std::uint64_t ipa) noexcept {
  emulated_.active = false;
  emulated_.retries = 0;
  recorder::set_outcome(*this, trace::Outcome::open);
  // Of a described access that is refused nothing is left to answer: it is not reported as an access.
  ExitFrame undescribed = *this;
  const DataAbortIss iss = DataAbortIss::from(esr.get<Esr::ISS>()).with<DataAbortIss::ISV>(false);
  undescribed.esr = esr.with<Esr::ISS>(static_cast<std::uint32_t>(iss.raw));
  exit_ = decode_data_abort(undescribed, ipa);
  pending_ = {};
  return true;
}

bool Aarch64VCpu::begin_emulation(std::uint64_t ipa) noexcept {
  const DataAbortIss iss = DataAbortIss::from(esr.get<Esr::ISS>());
  const Spsr spsr = frame.spsr;
  const FaultKind fault = fault_kind(iss.get<DataAbortIss::DFSC>());
  const bool describes_access = fault == FaultKind::translation || fault == FaultKind::access_flag ||
                                fault == FaultKind::permission || fault == FaultKind::address_size;
  if (!describes_access || spsr.get<Spsr::nRW>()) {
    return refuse_instruction(ipa);
  }
  const std::optional<std::uint32_t> opcode = hw::fetch_guest(frame.elr);
  if (!opcode) {
    return retry_instruction(ipa);
  }
  const auto instruction = a64::decode_load_store(*opcode);
  if (!instruction) {
    return a64::may_access_memory(*opcode) ? refuse_instruction(ipa) : retry_instruction(ipa);
  }
  const bool at_el0 = spsr.get<Spsr::M>() == kModeEl0t;
  const SctlrEl1 sctlr = hw::read_sctlr_el1();
  // Registers are read where the instruction needs them.
  Emulation::Inputs inputs{
      .gpr = frame.gpr, .pc = frame.elr, .big_endian = at_el0 ? sctlr.get<SctlrEl1::E0E>() : sctlr.get<SctlrEl1::EE>()};
  if (instruction->base_is_sp()) {
    inputs.sp = spsr.get<Spsr::M>() == kModeEl1h ? hw::read_sp_el1() : hw::read_sp_el0();
  }
  if (instruction->operation == a64::Operation::zero_block) {
    inputs.block_bytes = hw::zero_block_bytes();
  }
  if (instruction->key != a64::DataKey::none) {
    inputs.tcr_el1 = hw::read_tcr_el1();
  }
  // In its place: a copy is as much work as all that follows.
  std::construct_at(&emulation_, *instruction, inputs);
  if (instruction->operation == a64::Operation::prefetch) {
    finish_emulation(true);  // a hint, which never aborts: it was written there after the fault
    return false;
  }
  const auto offset = emulation_.offset_of(far, iss.get<DataAbortIss::WnR>());
  if (!offset) {
    return retry_instruction(ipa);
  }
  const bool unprivileged = instruction->form == a64::Form::unprivileged && !spsr.get<Spsr::UAO>();
  emulated_.far = far - *offset;
  emulated_.active = true;
  emulated_.answered = false;
  emulated_.is_el0 = at_el0 || unprivileged;
  emulated_.pan = spsr.get<Spsr::PAN>() && !emulated_.is_el0;
  if (emulation_.is_misaligned()) {
    (void)inject_data_abort(emulated_.far, Fsc::alignment, iss.get<DataAbortIss::WnR>());
    return false;
  }
  bool any_unmapped = instruction->operation == a64::Operation::store_exclusive;
  Places places;
  if (!any_unmapped && prepare_pages(ipa, any_unmapped, places)) {
    return true;
  }
  if (!emulated_.active) {
    return false;  // the guest has its abort
  }
  if (!any_unmapped) {
    return retry_instruction(ipa);  // it is all memory by now
  }
  for (unsigned i = 0; i < emulation_.vector_count(); ++i) {
    const unsigned n = emulation_.vector_number(i);
    emulation_.vectors()[i] = cpu_->fp_owner_ == this ? hw::read_vector(n) : std::array{fp_.v[2 * n], fp_.v[2 * n + 1]};
  }
  emulation_.take_vectors();
  return step_emulation(&places);
}

// Looks at every page before anything is done, so that an access that stage 1 refuses leaves nothing half done.
bool Aarch64VCpu::prepare_pages(std::uint64_t ipa, bool& any_unmapped, Places& places) noexcept {
  const bool writes = emulation_.may_write();
  const std::uint64_t last = emulated_.far + emulation_.bytes() - 1;
  places.is_write = writes;
  places.first_page = page_of(emulated_.far);
  for (std::uint64_t va = emulated_.far;; va = last) {
    const auto place = hw::locate({va, emulated_.is_el0, writes, emulated_.pan});
    (page_of(va) == places.first_page ? places.first : places.last) = place;
    switch (place.kind) {
      case Kind::unmapped:
        // A CPU that checks it has taken this fault itself. [armarm] "Alignment of data accesses"; DC ZVA
        if (place.device && !emulation_.suits_device_memory()) {
          (void)inject_data_abort(emulated_.far, Fsc::alignment, writes);
          return false;
        }
        any_unmapped = true;
        break;
      case Kind::memory:
        // The CPU would mark the guest's tables, or store a tag; our write would not.
        if ((writes && hw::guest_tracks_writes()) || !emulation_.suits_memory()) {
          return refuse_instruction(ipa);
        }
        break;
      case Kind::fault:
        (void)inject_data_abort(va == last && page_of(last) != page_of(emulated_.far) ? page_of(last) : va, place.fsc,
                                writes);
        return false;
      case Kind::walk:
      case Kind::hidden: return refuse_instruction(ipa);
    }
    if (page_of(va) == page_of(last)) {
      return false;
    }
  }
}

bool Aarch64VCpu::resume_emulation() noexcept {
  if (!emulated_.answered) {
    emulated_.active = false;  // executed again
    return false;
  }
  emulated_.answered = false;
  return step_emulation(nullptr);
}

// `places`: in the exit itself, where the responder answers. Null: between two exits that run() returned. What was
// found in the pages holds until something else is done.
bool Aarch64VCpu::step_emulation(const Places* places) noexcept {
  const bool in_handler = places != nullptr;
  std::uint64_t answered = 0;  // accesses; each is an exit that the guest did not see
  while (const auto piece = emulation_.next()) {
    const std::uint64_t va = emulated_.far + piece->offset;
    const auto place = places != nullptr && places->hold_for(piece->is_write)
                           ? places->at(va)
                           : hw::locate({va, emulated_.is_el0, piece->is_write, emulated_.pan});
    switch (place.kind) {
      case Kind::memory:
        if (piece->is_write) {
          hw::write_guest(place, piece->width, piece->data);
          emulation_.complete(0);
        } else {
          emulation_.complete(hw::read_guest(place, piece->width));
        }
        continue;
      case Kind::fault:
        handled += answered;
        (void)inject_data_abort(va, place.fsc, piece->is_write);
        return false;
      case Kind::walk:
      case Kind::hidden: handled += answered; return refuse_instruction(place.address);
      case Kind::unmapped: break;
    }
    if (in_handler && responder_ != nullptr && ask_responder(*piece, place.address)) {
      ++answered;
      places = nullptr;
      continue;
    }
    handled += answered;
    far = va;
    hpfar = Hpfar{}.with<Hpfar::FIPA>(place.address >> 12);
    report(*piece, place.address);
    return true;
  }
  finish_emulation(in_handler);
  if (answered != 0) {
    handled += answered - 1;  // the vector's handler counts the last one
    recorder::set_outcome(*this, trace::Outcome::returned);
  }
  return false;
}

bool Aarch64VCpu::ask_responder(const Emulation::Piece& piece, std::uint64_t ipa) noexcept {
  ExitResponder::Reply reply{};
  if (piece.is_write) {
    reply.done = responder_->write(ipa, piece.width, piece.data);
  } else {
    reply = responder_->read(ipa, piece.width);
  }
  if (reply.done) {
    emulation_.complete(reply.value);
  }
  return reply.done;
}

void Aarch64VCpu::report(const Emulation::Piece& piece, std::uint64_t ipa) noexcept {
  const a64::LoadStore& op = emulation_.instruction();
  pending_ = {.kind = piece.is_write ? PendingAccess::Kind::mmio_write : PendingAccess::Kind::mmio_read,
              .emulated = true};
  if (piece.is_write) {
    exit_ = AxVCpuExitReason::MmioWrite{ipa, piece.width, piece.data};
  } else {
    // A register that it goes to alone and whole.
    const bool alone = op.operation == a64::Operation::load && !op.vector && op.registers == 1 &&
                       bytes_of(piece.width) == emulation_.bytes();
    exit_ = AxVCpuExitReason::MmioRead{.addr = ipa,
                                       .width = piece.width,
                                       .reg = alone ? op.rt : std::uint8_t{31},
                                       .reg_width = op.wide ? AccessWidth::doubleword : AccessWidth::word,
                                       .signed_ext = alone && op.sign_extend};
  }
  recorder::set_outcome(*this, trace::Outcome::open);
}

// False: it is not an access of an emulated instruction that waits for this answer.
bool Aarch64VCpu::answer_emulated(PendingAccess::Kind wanted, std::uint64_t value) noexcept {
  if (!pending_.emulated || pending_.kind != wanted) {
    return false;
  }
  pending_ = {};
  emulation_.complete(value);
  emulated_.answered = true;
  if (cpu_ != nullptr && !emulation_.next()) {
    finish_emulation(false);
  }
  return true;
}

void Aarch64VCpu::finish_emulation(bool in_handler) noexcept {
  emulated_.active = false;
  emulated_.retries = 0;
  const a64::LoadStore& op = emulation_.instruction();
  std::uint64_t sp = 0;
  emulation_.commit(frame.gpr, sp);
  if (op.base_is_sp() && op.writes_back()) {
    if (frame.spsr.get<Spsr::M>() == kModeEl1h) {
      hw::write_sp_el1(sp);
    } else if (in_handler) {
      hw::write_sp_el0(sp);
    } else {
      frame.sp_el0 = sp;
    }
  }
  if (op.operation == a64::Operation::load) {
    for (unsigned i = 0; i < emulation_.vector_count(); ++i) {
      const unsigned n = emulation_.vector_number(i);
      const auto& value = emulation_.vectors()[i];
      if (cpu_->fp_owner_ == this) {
        hw::write_vector(n, value);
      } else {
        vectors_are_zero_ = false;
        fp_.v[2 * n] = value[0];
        fp_.v[2 * n + 1] = value[1];
      }
    }
  }
  frame.complete_instruction();
}

}  // namespace arm_vcpu
