// SPDX-License-Identifier: Apache-2.0
#include "sample.hpp"

#include <algorithm>
#include <cstring>
#include <string>

#include "arm_vcpu/arch/gic.hpp"
#include "arm_vcpu/arch/smccc.hpp"
#include "arm_vcpu/arch/sysreg_id.hpp"
#include "arm_vcpu/trace/console_dump.hpp"
#include "arm_vcpu/vm/guest_layout.hpp"

namespace arm_vcpu::scope {
namespace {

using trace::Kind;
using trace::Outcome;
using trace::Record;

constexpr std::uint64_t kHz = 62'500'000;  // QEMU's
constexpr std::uint64_t kText = 0xFFFF'8000'0800'0000;
constexpr std::size_t kChunkRecords = 2048;

std::uint64_t esr(Ec ec, std::uint64_t iss) {
  return Esr{}.with<Esr::EC>(ec).with<Esr::IL>(true).with<Esr::ISS>(static_cast<std::uint32_t>(iss)).raw;
}

std::uint64_t mmio_esr(bool write, unsigned log2_bytes, unsigned rt) {
  using Iss = DataAbortIss;
  return esr(Ec::data_abort_lower, Iss{}
                                       .with<Iss::ISV>(true)
                                       .with<Iss::SAS>(static_cast<std::uint8_t>(log2_bytes))
                                       .with<Iss::SRT>(static_cast<std::uint8_t>(rt))
                                       .with<Iss::WnR>(write)
                                       .with<Iss::DFSC>(Fsc::translation_l3)
                                       .raw);
}

std::uint64_t sysreg_esr(SysRegId id, bool read, unsigned rt) {
  return esr(Ec::sysreg, SysRegIss::from(id.iss())
                             .with<SysRegIss::Direction>(read)
                             .with<SysRegIss::Rt>(static_cast<std::uint8_t>(rt))
                             .raw);
}

struct Access {
  std::uint64_t ipa;
  bool write;
};
constexpr Access kAccesses[] = {
    {guest_machine::kUart.base + 0x18, false},    {guest_machine::kUart.base, true},
    {guest_machine::kUart.base + 0x38, true},     {guest_machine::kUart.base + 0x40, false},
    {guest_machine::kGicd.base + 0x104, true},    {guest_machine::kGicd.base + 0x6108, true},
    {guest_machine::kGicr.base + 0x1'0100, true}, {guest_machine::kGicr.base + 0x1'0180, true},
    {guest_machine::kGicd.base + 0x420, true},    {guest_machine::kGicr.base + 0x2'0014, false},
};

}  // namespace

SampleCpu::SampleCpu(const SampleOptions& options, unsigned cpu) noexcept
    : state_{options.seed * 0x9E37'79B9'7F4A'7C15 + cpu},
      time_{kHz / 10 + cpu * 1000},
      vm_{static_cast<std::uint8_t>(options.cpus > 1 && cpu >= options.cpus - options.cpus / 4 ? 1 : 0)},
      vcpu_{static_cast<std::uint8_t>(vm_ == 0 ? cpu : cpu - (options.cpus - options.cpus / 4))} {}

// SplitMix64: every seed gives a sequence of its own.
std::uint64_t SampleCpu::random() noexcept {
  std::uint64_t z = state_ += 0x9E37'79B9'7F4A'7C15;
  z = (z ^ z >> 30) * 0xBF58'476D'1CE4'E5B9;
  z = (z ^ z >> 27) * 0x94D0'49BB'1331'11EB;
  return z ^ z >> 31;
}

void SampleCpu::exit(std::uint64_t pc, std::uint64_t syndrome, std::uint64_t duration) {
  Record r{};
  r.time = time_;
  r.pc = pc;
  r.esr = syndrome;
  r.spsr = 0x6040'00C5;
  r.duration = static_cast<std::uint32_t>(duration);
  r.vm = vm_;
  r.vcpu = vcpu_;
  r.outcome = Outcome::returned;
  ready_.push_back(r);
}

Record SampleCpu::next() {
  if (ready_.empty()) {
    time_ += 200 + random() % 3000;
    const std::uint64_t dice = random() % 100;
    const std::uint64_t handling = 40 + (random() & random() & 0x3F) + (random() % 256 == 0 ? random() % 4000 : 0);
    const auto add_event = [&](Kind kind, std::uint64_t data, std::uint64_t far, std::uint64_t hpfar) {
      ready_.insert(ready_.begin(), Record{.time = time_ + 5 + ready_.size(),
                                           .pc = ready_.back().pc,
                                           .far = far,
                                           .hpfar = hpfar,
                                           .data = data,
                                           .vm = vm_,
                                           .vcpu = vcpu_,
                                           .kind = kind});
    };
    if (!started_) {
      started_ = true;
      exit(guest_machine::kRamBase, 0, 0);
      ready_.back().kind = Kind::vcpu_scheduled;
      ready_.back().outcome = {};
    } else if (vcpu_ == 0 && sequence_ > 40 && sequence_ < 60 && dice < 50) {
      exit(kText + 0x1'F2A0, esr(Ec::hvc64, 0), handling);
      const std::uint64_t id = psci_id(PsciFunction::CPU_ON, true).raw;
      ready_.back().data = id;
      add_event(Kind::psci_call, id, 1 + sequence_ % 2, guest_machine::kRamBase + 0x8'0000);
      ready_.front().esr = esr(Ec::hvc64, 0);
    } else if (dice < 45) {
      const Access& access = kAccesses[random() % std::size(kAccesses)];
      exit(kText + 0x5A'0000 + (access.ipa & 0xFFF) * 4, mmio_esr(access.write, 2, access.write ? 1 : 3), handling);
      ready_.back().far = 0xFFFF'8000'1000'0000 + (access.ipa & 0xFFF);
      ready_.back().hpfar = Hpfar{}.with<Hpfar::FIPA>(access.ipa >> 12).raw;
      ready_.back().data = access.write ? random() & 0xFF : 0;
    } else if (dice < 65) {
      exit(kText + (random() & random() & random() & 0x1F'FFFF) * 4, esr(Ec::unknown, 0),
           handling);  // some often, most seldom
      ready_.back().kind = Kind::exit_irq;
      ready_.back().data = guest_machine::kVirtualTimerIntid;
      add_event(Kind::irq_injected, guest_machine::kVirtualTimerIntid, 0, 0);
      const std::uint64_t lr = gic::IchLr{}
                                   .with<gic::IchLr::State>(gic::LrState::pending)
                                   .with<gic::IchLr::Group>(true)
                                   .with<gic::IchLr::vINTID>(guest_machine::kVirtualTimerIntid)
                                   .raw;
      add_event(Kind::irq_delivered, guest_machine::kVirtualTimerIntid, 0, lr);
    } else if (dice < 80) {
      const std::uint64_t idle = 1000 + random() % 200'000;
      exit(kText + 0x7C'0010, esr(Ec::wfx, WfxIss{}.raw), idle);
      add_event(Kind::vcpu_parked, 1, 0, 0);
      ready_.insert(ready_.begin(), ready_.front());
      ready_.front().kind = Kind::vcpu_woken;
      ready_.front().data = 0;
      ready_.front().time = time_ + idle - 10;
    } else if (dice < 88) {
      exit(kText + 0x1'1C40, sysreg_esr(sysreg::ICC_SGI1R_EL1, false, 0), handling);
      ready_.back().data = 1ULL << 24 | 1U << (random() % 4);
      ready_.back().outcome = Outcome::handled;
    } else if (dice < 96) {
      exit(kText + 0x3'0000 + random() % 64 * 4, sysreg_esr(sysreg::ID_AA64MMFR0_EL1, true, 2), handling / 2);
      ready_.back().outcome = Outcome::handled;
    } else if (dice < 98) {
      exit(kText + 0x9000, esr(Ec::fp_access, 0x1E0'0000), handling);
      ready_.back().outcome = Outcome::handled;
    } else {
      exit(kText + 0x7'0000, esr(Ec::smc64, 0), handling);
      ready_.back().data = smccc::SMCCC_VERSION.raw;
      ready_.back().outcome = Outcome::handled;
    }
    time_ += ready_.back().duration;
  }
  Record r = ready_.back();
  ready_.pop_back();
  r.sequence = sequence_++;
  return r;
}

trace::Header sample_header(const SampleOptions& options) {
  trace::Header header{};
  header.magic = trace::kFileMagic;
  header.version = trace::kVersion;
  header.header_bytes = sizeof header;
  header.record_bytes = sizeof(Record);
  header.cpus = options.cpus;
  header.counter_hz = kHz;
  const auto put = [](auto& array, const char* text) { std::memcpy(array.data(), text, std::strlen(text)); };
  put(header.hypervisor_version, "sample");
  const unsigned second = options.cpus > 1 ? options.cpus / 4 : 0;
  header.vm_count = second != 0 ? 2 : 1;
  for (unsigned vm = 0; vm < header.vm_count; ++vm) {
    put(header.vms[vm].name, vm == 0 ? "linux" : "uboot");
    header.vms[vm].vcpus = vm == 0 ? options.cpus - second : second;
    header.vms[vm].ram_ipa = guest_machine::kRamBase;
    header.vms[vm].ram_bytes = 0x1000'0000;
  }
  return header;
}

void write_sample_stream(const SampleOptions& options, const Sink& sink) {
  const auto header = sample_header(options);
  sink(std::as_bytes(std::span{&header, 1}));
  std::vector<SampleCpu> cpus;
  cpus.reserve(options.cpus);
  for (unsigned i = 0; i < options.cpus; ++i) cpus.emplace_back(options, i);
  std::vector<std::uint64_t> written(options.cpus);
  std::vector<Record> records;
  for (std::uint64_t done = 0; done < options.records;) {
    for (unsigned i = 0; i < options.cpus && done < options.records; ++i) {
      records.clear();
      while (records.size() < kChunkRecords && done + records.size() < options.records &&
             records.size() * options.cpus < options.records) {
        records.push_back(cpus[i].next());
      }
      trace::ChunkHeader chunk{};
      chunk.magic = trace::kChunkMagic;
      chunk.cpu = i;
      chunk.first = written[i];
      chunk.count = records.size();
      chunk.crc32 = trace::crc32(records.data(), records.size() * sizeof(Record));
      sink(std::as_bytes(std::span{&chunk, 1}));
      sink(std::as_bytes(std::span{records}));
      written[i] += records.size();
      done += records.size();
    }
  }
}

void write_sample_memory(const SampleOptions& options, std::uint64_t capacity, const Sink& sink) {
  auto header = sample_header(options);
  header.area_bytes = sizeof header + options.cpus * (sizeof(trace::RingHeader) + capacity * sizeof(Record));
  sink(std::as_bytes(std::span{&header, 1}));
  for (unsigned i = 0; i < options.cpus; ++i) {
    SampleCpu cpu{options, i};
    trace::RingHeader ring{.magic = trace::kRingMagic, .cpu = i, .capacity = capacity};
    std::vector<Record> slots(capacity);
    for (; ring.written < options.records / options.cpus; ++ring.written) {
      slots[ring.written & (capacity - 1)] = cpu.next();
    }
    sink(std::as_bytes(std::span{&ring, 1}));
    sink(std::as_bytes(std::span{slots}));
  }
}

void write_sample_console(const SampleOptions& options, const Sink& sink) {
  const auto line = [&](std::string_view text) {
    const std::string whole = std::string{text} + "\r\n";
    sink(std::as_bytes(std::span{whole}));
  };
  line("[hv] PANIC: a failure that never was");
  trace::ConsoleDump dump{line};
  dump.begin(sample_header(options));
  for (unsigned i = 0; i < options.cpus; ++i) {
    SampleCpu cpu{options, i};
    std::vector<Record> records;
    while (records.size() < options.records / options.cpus) records.push_back(cpu.next());
    dump.records(i, 0, records);
  }
  dump.end();
}

}  // namespace arm_vcpu::scope
