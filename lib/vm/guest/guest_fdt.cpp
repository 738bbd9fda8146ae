// SPDX-License-Identifier: Apache-2.0
#include "arm_vcpu/vm/guest_fdt.hpp"

#include <libfdt.h>

#include <algorithm>
#include <array>
#include <initializer_list>
#include <iterator>

#include "arm_vcpu/arch/gic_v2.hpp"
#include "arm_vcpu/text.hpp"

namespace arm_vcpu {
namespace {

using namespace std::string_view_literals;

// QEMU counts its phandles from here: the clock, the CPUs from the last to the first, the interrupt controller.
constexpr std::uint32_t kClockPhandle = 0x8000;
constexpr std::uint32_t cpu_phandle(unsigned cpu, unsigned cpus) noexcept {
  return kClockPhandle + cpus - cpu;
}
constexpr std::uint32_t gic_phandle(unsigned cpus) noexcept {
  return kClockPhandle + 1 + cpus;
}

// [dtbinding] "ARM Generic Interrupt Controller, version 3": kind, number, trigger. A GICv2's PPI has a mask of the
// CPUs too, in bits 15:8.
constexpr std::uint32_t kSpi = 0;
constexpr std::uint32_t kPpi = 1;
constexpr std::uint32_t kLevelHigh = 4;
constexpr std::uint32_t ppi_flags(const GuestFdtConfig& config) noexcept {
  return config.gic_version == 2 ? ((1U << config.cpus) - 1) << 8 | kLevelHigh : kLevelHigh;
}

// [psci] function IDs, as the properties of "arm,psci" (version 0.1) give them.
constexpr std::uint32_t kCpuSuspend = 0xC4000001;
constexpr std::uint32_t kCpuOff = 0x84000002;
constexpr std::uint32_t kCpuOn = 0xC4000003;
constexpr std::uint32_t kMigrate = 0xC4000005;

constexpr std::uint32_t kUartClockHz = 24'000'000;

// A null-terminated name made of text and a number.
class NodeName {
 public:
  NodeName(std::string_view pattern, std::uint64_t number) noexcept {
    TextBuffer text{std::span{storage_}.first(storage_.size() - 1)};
    format_to(text, pattern, number);
  }
  [[nodiscard]] const char* c_str() const noexcept { return storage_.data(); }

 private:
  std::array<char, 32> storage_{};
};

// libfdt's sequential writer. It keeps the first error; after one, nothing is written any more.
class Writer {
 public:
  explicit Writer(std::span<std::byte> buffer) noexcept : blob_{buffer.data()} {
    const auto size = std::min<std::size_t>(buffer.size(), 0x7FFFFFFF);
    note(fdt_create(blob_, static_cast<int>(size)));
    if (ok()) note(fdt_finish_reservemap(blob_));
  }

  void begin(const char* name) noexcept {
    if (ok()) note(fdt_begin_node(blob_, name));
  }
  void end() noexcept {
    if (ok()) note(fdt_end_node(blob_));
  }
  void bytes(const char* name, std::span<const std::byte> value) noexcept {
    if (ok()) note(fdt_property(blob_, name, value.data(), static_cast<int>(value.size())));
  }
  void flag(const char* name) noexcept { bytes(name, {}); }
  // `value` may hold several strings, parted by '\0'; the last one is terminated here.
  void text(const char* name, std::string_view value) noexcept {
    void* to = nullptr;
    if (ok()) note(fdt_property_placeholder(blob_, name, static_cast<int>(value.size()) + 1, &to));
    if (ok()) {
      *std::copy(value.begin(), value.end(), static_cast<char*>(to)) = '\0';
    }
  }
  template <class... Cells>
  void cells(const char* name, Cells... values) noexcept {
    const fdt32_t list[] = {cpu_to_fdt32(static_cast<std::uint32_t>(values))...};
    bytes(name, std::as_bytes(std::span{list}));
  }
  // Addresses and sizes of two cells each.
  void reg(std::initializer_list<IpaRange> ranges) noexcept {
    std::array<fdt64_t, 4> list{};
    std::size_t count = 0;
    for (const IpaRange& range : ranges) {
      list[count++] = cpu_to_fdt64(range.base);
      list[count++] = cpu_to_fdt64(range.bytes);
    }
    bytes("reg", std::as_bytes(std::span{list}.first(count)));
  }

  // The size of the tree, or libfdt's status.
  [[nodiscard]] int finish() noexcept {
    if (ok()) note(fdt_finish(blob_));
    return ok() ? static_cast<int>(fdt_totalsize(blob_)) : status_;
  }

 private:
  [[nodiscard]] bool ok() const noexcept { return status_ == 0; }
  void note(int status) noexcept { status_ = status; }

  void* blob_;
  int status_{};
};

void write_psci(Writer& fdt) noexcept {
  fdt.begin("psci");
  fdt.cells("migrate", kMigrate);
  fdt.cells("cpu_on", kCpuOn);
  fdt.cells("cpu_off", kCpuOff);
  fdt.cells("cpu_suspend", kCpuSuspend);
  fdt.text("method", "hvc");
  fdt.text("compatible", "arm,psci-1.0\0arm,psci-0.2\0arm,psci"sv);
  fdt.end();
}

void write_memory(Writer& fdt, IpaRange ram) noexcept {
  fdt.begin(NodeName{"memory@{:01x}", ram.base}.c_str());
  fdt.reg({ram});
  fdt.text("device_type", "memory");
  fdt.end();
}

void write_uart(Writer& fdt) noexcept {
  fdt.begin("pl011@9000000");
  fdt.text("clock-names", "uartclk\0apb_pclk"sv);
  fdt.cells("clocks", kClockPhandle, kClockPhandle);
  fdt.cells("interrupts", kSpi, guest_machine::kUartSpi, kLevelHigh);
  fdt.reg({guest_machine::kUart});
  fdt.text("compatible", "arm,pl011\0arm,primecell"sv);
  fdt.end();
}

void write_pmu(Writer& fdt, const GuestFdtConfig& config) noexcept {
  fdt.begin("pmu");
  fdt.cells("interrupts", kPpi, guest_machine::kPmuPpi, ppi_flags(config));
  fdt.text("compatible", "arm,armv8-pmuv3");
  fdt.end();
}

void write_gic(Writer& fdt, const GuestFdtConfig& config) noexcept {
  fdt.begin("intc@8000000");
  fdt.cells("phandle", gic_phandle(config.cpus));
  if (config.gic_version == 2) {
    fdt.reg({guest_machine::kGicd, guest_machine::kGicc});
    fdt.text("compatible", "arm,cortex-a15-gic");
  } else {
    fdt.reg({guest_machine::kGicd, guest_machine::kGicr});
    fdt.cells("#redistributor-regions", 1);
    fdt.text("compatible", "arm,gic-v3");
  }
  fdt.flag("ranges");
  fdt.cells("#size-cells", 2);
  fdt.cells("#address-cells", 2);
  fdt.flag("interrupt-controller");
  fdt.cells("#interrupt-cells", 3);
  fdt.end();
}

// One socket, one cluster: what QEMU makes of -smp N.
void write_cpu_map(Writer& fdt, unsigned cpus) noexcept {
  fdt.begin("cpu-map");
  fdt.begin("socket0");
  fdt.begin("cluster0");
  for (unsigned cpu = 0; cpu < cpus; ++cpu) {
    fdt.begin(NodeName{"core{}", cpu}.c_str());
    fdt.cells("cpu", cpu_phandle(cpu, cpus));
    fdt.end();
  }
  fdt.end();
  fdt.end();
  fdt.end();
}

void write_cpus(Writer& fdt, const GuestFdtConfig& config) noexcept {
  fdt.begin("cpus");
  fdt.cells("#size-cells", 0);
  fdt.cells("#address-cells", 1);
  write_cpu_map(fdt, config.cpus);
  for (unsigned cpu = 0; cpu < config.cpus; ++cpu) {
    fdt.begin(NodeName{"cpu@{}", cpu}.c_str());  // by index, although reg is the affinity: as QEMU has it
    fdt.cells("phandle", cpu_phandle(cpu, config.cpus));
    fdt.cells("reg", guest_machine::affinity_of(cpu));
    if (config.cpus > 1) {
      fdt.text("enable-method", "psci");
    }
    fdt.text("compatible", config.cpu_compatible);
    fdt.text("device_type", "cpu");
    fdt.end();
  }
  fdt.end();
}

void write_timer(Writer& fdt, const GuestFdtConfig& config) noexcept {
  using namespace guest_machine;
  const std::uint32_t flags = ppi_flags(config);
  fdt.begin("timer");
  fdt.cells("interrupts", kPpi, kSecureTimerPpi, flags, kPpi, kPhysicalTimerPpi, flags, kPpi, kVirtualTimerPpi, flags,
            kPpi, kHypervisorTimerPpi, flags);
  fdt.flag("always-on");
  fdt.text("compatible", "arm,armv8-timer\0arm,armv7-timer"sv);
  fdt.end();
}

void write_clock(Writer& fdt) noexcept {
  fdt.begin("apb-pclk");
  fdt.cells("phandle", kClockPhandle);
  fdt.text("clock-output-names", "clk24mhz");
  fdt.cells("clock-frequency", kUartClockHz);
  fdt.cells("#clock-cells", 0);
  fdt.text("compatible", "fixed-clock");
  fdt.end();
}

// The address in one cell when it fits, as QEMU writes it; Linux takes both.
void write_address(Writer& fdt, const char* name, std::uint64_t address) noexcept {
  if (address <= 0xFFFFFFFF) {
    fdt.cells(name, address);
  } else {
    fdt.cells(name, address >> 32, address);
  }
}

void write_chosen(Writer& fdt, const GuestFdtConfig& config) noexcept {
  fdt.begin("chosen");
  if (config.ramdisk.bytes != 0) {
    write_address(fdt, "linux,initrd-end", config.ramdisk.end());
    write_address(fdt, "linux,initrd-start", config.ramdisk.base);
  }
  if (!config.bootargs.empty()) {
    fdt.text("bootargs", config.bootargs);
  }
  fdt.text("stdout-path", "/pl011@9000000");
  if (!config.rng_seed.empty()) {
    fdt.bytes("rng-seed", config.rng_seed);
  }
  if (!config.kaslr_seed.empty()) {
    fdt.bytes("kaslr-seed", config.kaslr_seed);
  }
  fdt.end();
}

}  // namespace

Result<std::size_t> write_guest_fdt(std::span<std::byte> buffer, const GuestFdtConfig& config) noexcept {
  constexpr std::size_t kKaslrSeedBytes = 8;
  const bool bad_seed = !config.kaslr_seed.empty() && config.kaslr_seed.size() != kKaslrSeedBytes;
  const unsigned most_cpus = config.gic_version == 2 ? gic::kGicV2MaxCpus : guest_machine::kMaxVcpus;
  const bool bad_gic = config.gic_version != 2 && config.gic_version != 3;
  if (config.cpus == 0 || config.cpus > most_cpus || bad_seed || bad_gic) {
    return fail(Errc::conflicting_configuration);
  }
  Writer fdt{buffer};
  fdt.begin("");
  fdt.cells("interrupt-parent", gic_phandle(config.cpus));
  fdt.text("model", "linux,dummy-virt");
  fdt.cells("#size-cells", 2);
  fdt.cells("#address-cells", 2);
  fdt.text("compatible", "linux,dummy-virt");
  write_psci(fdt);
  write_memory(fdt, config.ram);
  write_uart(fdt);
  if (config.pmu) write_pmu(fdt, config);
  write_gic(fdt, config);
  write_cpus(fdt, config);
  write_timer(fdt, config);
  write_clock(fdt);
  write_chosen(fdt, config);
  fdt.end();

  const int size = fdt.finish();
  if (size == -FDT_ERR_NOSPACE) {
    return fail(Errc::guest_dtb_too_large, buffer.size() + 1, buffer.size());  // how much more, libfdt does not say
  }
  if (size < 0) {
    return fail(Errc::bad_device_tree, static_cast<std::uint64_t>(-size));
  }
  return static_cast<std::size_t>(size);
}

// [armarm] "MIDR_EL1, Main ID Register": Implementer in bits 31:24, PartNum in bits 15:4.
std::string_view cpu_compatible_of(std::uint64_t midr_el1) noexcept {
  struct Model {
    std::uint64_t implementer;
    std::uint64_t part;
    std::string_view compatible;
  };
  static constexpr Model kModels[] = {
      {0x41, 0xD03, "arm,cortex-a53"}, {0x41, 0xD04, "arm,cortex-a35"},  {0x41, 0xD05, "arm,cortex-a55"},
      {0x41, 0xD07, "arm,cortex-a57"}, {0x41, 0xD08, "arm,cortex-a72"},  {0x41, 0xD09, "arm,cortex-a73"},
      {0x41, 0xD0A, "arm,cortex-a75"}, {0x41, 0xD0B, "arm,cortex-a76"},  {0x41, 0xD0C, "arm,neoverse-n1"},
      {0x41, 0xD0D, "arm,cortex-a77"}, {0x41, 0xD40, "arm,neoverse-v1"}, {0x41, 0xD41, "arm,cortex-a78"},
      {0x41, 0xD44, "arm,cortex-x1"},  {0x41, 0xD46, "arm,cortex-a510"}, {0x41, 0xD47, "arm,cortex-a710"},
      {0x41, 0xD48, "arm,cortex-x2"},  {0x41, 0xD49, "arm,neoverse-n2"}, {0x41, 0xD4F, "arm,neoverse-v2"},
      {0x00, 0x051, "arm,cortex-a57"},  // QEMU's max
  };
  const std::uint64_t implementer = bits::extract(midr_el1, 31, 24);
  const std::uint64_t part = bits::extract(midr_el1, 15, 4);
  const auto* model = std::find_if(std::begin(kModels), std::end(kModels), [&](const Model& candidate) {
    return candidate.implementer == implementer && candidate.part == part;
  });
  return model != std::end(kModels) ? model->compatible : "arm,armv8"sv;
}

}  // namespace arm_vcpu
