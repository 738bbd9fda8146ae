// SPDX-License-Identifier: Apache-2.0
// Blobs as a boot loader may hand them over: the bundle, with the plan of each guest; the host's device tree; a tree
// that a guest gets.
#include "arm_vcpu/vm/bundle.hpp"

#include <libfdt.h>

#include <vector>

#include "../../hypervisor/board.hpp"
#include "../../hypervisor/device_tree.hpp"
#include "arm_vcpu/text.hpp"
#include "arm_vcpu/trace/diagnosis.hpp"
#include "arm_vcpu/vm/guest_fdt.hpp"
#include "fuzz.hpp"

namespace arm_vcpu {
namespace {

// 8-byte aligned, and on the heap to its exact size, so that AddressSanitizer sees one byte too much.
class Blob {
 public:
  explicit Blob(std::span<const std::uint8_t> bytes) : storage_((bytes.size() + 7) / 8), size_{bytes.size()} {
    if (size_ != 0) std::memcpy(storage_.data(), bytes.data(), size_);
  }
  [[nodiscard]] std::span<const std::byte> bytes() const { return std::as_bytes(std::span{storage_}).first(size_); }
  template <class View>
  [[nodiscard]] bool contains(const View& view) const {
    const auto* begin = reinterpret_cast<const char*>(storage_.data());
    const auto* at = reinterpret_cast<const char*>(view.data());
    return view.empty() || (at >= begin && at + view.size() <= begin + size_);
  }

 private:
  std::vector<std::uint64_t> storage_;
  std::size_t size_;
};

void check_plan(const GuestLayout& plan, const IpaRange& ram) {
  const IpaRange parts[] = {plan.kernel, plan.ramdisk, plan.dtb};
  for (const IpaRange& part : parts) {
    const bool in_flash = part.base < guest_machine::kRamBase;  // firmware
    FUZZ_CHECK(part.bytes == 0 || in_flash || (part.base >= ram.base && part.end() <= ram.end()));
    for (const IpaRange& other : parts) {
      FUZZ_CHECK(&part == &other || part.bytes == 0 || other.bytes == 0 || part.end() <= other.base ||
                 other.end() <= part.base);
    }
  }
  FUZZ_CHECK(plan.dtb.base % 8 == 0 && plan.entry % 4 == 0);
}

FUZZ_TARGET(bundle, "the bundle's parser, and where its guests' files go") {
  const Blob blob{input.rest()};
  const BundleLimits limits{.vcpus_per_vm = 8, .physical_cpus = 4};
  const auto bundle = Bundle::parse(blob.bytes(), limits);
  if (!bundle) {
    char line[400];
    TextBuffer out{line};
    append(out, bundle.error());
    FUZZ_CHECK(!out.view().empty());
    return;
  }
  FUZZ_CHECK(!bundle->vms().empty() && bundle->vms().size() <= kMaxBundleVms);
  FUZZ_CHECK(blob.contains(bundle->trace_file()) && blob.contains(bundle->simulate()));
  for (const BundleVm& vm : bundle->vms()) {
    FUZZ_CHECK(blob.contains(vm.boot_file) && blob.contains(vm.ramdisk) && blob.contains(vm.bootargs));
    FUZZ_CHECK(blob.contains(vm.name) && vm.cpus >= 1 && vm.cpus <= limits.vcpus_per_vm);
    FUZZ_CHECK(vm.memory_bytes >= kMinGuestMib << 20 && vm.memory_bytes <= kMaxGuestMib << 20);
    for (unsigned i = 0; vm.has_affinity && i < vm.cpus; ++i) {
      FUZZ_CHECK(vm.affinity[i] < limits.physical_cpus);
    }
    const IpaRange ram{guest_machine::kRamBase, vm.memory_bytes};
    const GuestFiles files{.ramdisk_bytes = vm.ramdisk.size(), .dtb_bytes = kGuestFdtBytes};
    const auto plan = vm.kernel ? plan_guest(ram, *vm.kernel, files) : plan_firmware(ram, vm.boot_file.size(), files);
    if (plan) check_plan(*plan, ram);
  }
}

FUZZ_TARGET(device_tree, "the host's device tree, and what the diagnosis reads of a guest's") {
  const Blob blob{input.rest()};
  static_cast<void>(diag::read_device_tree_facts(blob.bytes()));
  if (!hv::dt::is_whole(blob.bytes())) return;
  static_cast<void>(hv::find_uart(blob.bytes().data()));
  hv::Board board{};
  if (hv::read_board(blob.bytes().data(), board)) FUZZ_CHECK(board.cpus.count <= hv::kMaxBoardCpus);
}

FUZZ_TARGET(guest_fdt, "the device tree that a guest gets, for any configuration and any size of buffer") {
  GuestFdtConfig config{};
  config.ram.bytes = input.number();
  config.cpus = input.below(130);
  config.ramdisk = {input.number(), input.number()};
  static constexpr std::byte kSeed[32]{};
  config.kaslr_seed = std::span{kSeed}.first(input.flag() ? 8 : input.below(10));
  config.rng_seed = std::span{kSeed}.first(input.below(33));
  config.cpu_compatible = cpu_compatible_of(input.number());
  const std::size_t room = input.flag() ? kGuestFdtBytes : input.take<std::uint16_t>();
  const auto rest = input.rest();
  config.bootargs = {reinterpret_cast<const char*>(rest.data()), rest.size()};
  std::vector<std::uint64_t> storage((room + 7) / 8);
  const auto buffer = std::as_writable_bytes(std::span{storage}).first(room);
  const auto size = write_guest_fdt(buffer, config);
  if (!size) return;
  FUZZ_CHECK(*size <= room && fdt_check_full(buffer.data(), *size) == 0);
  const diag::DeviceTreeFacts facts = diag::read_device_tree_facts(buffer.first(*size));
  FUZZ_CHECK(facts.valid &&
             facts.cpu_count == (config.cpus < facts.cpu_reg.size() ? config.cpus : facts.cpu_reg.size()));
}

FUZZ_TARGET(image, "what a kernel file is, and where it goes") {
  IpaRange ram{guest_machine::kRamBase, std::uint64_t{input.take<std::uint16_t>()} << (input.flag() ? 21 : 20)};
  if (input.below(8) == 0) ram = {ram.base + (std::uint64_t{input.byte()} << 20), input.number() >> 16};
  const GuestFiles files{.ramdisk_bytes = input.number(), .dtb_bytes = input.flag() ? kGuestFdtBytes : input.number()};
  const std::uint64_t firmware = input.number();
  const Blob blob{input.rest()};
  static_cast<void>(parse_image_header(blob.bytes()));
  if (const auto kernel = inspect_kernel(blob.bytes())) {
    FUZZ_CHECK(kernel->file_bytes == blob.bytes().size() && kernel->memory_bytes() >= kernel->file_bytes);
    if (const auto plan = plan_guest(ram, *kernel, files)) check_plan(*plan, ram);
  }
  if (const auto plan = plan_firmware(ram, firmware, files)) check_plan(*plan, ram);
}

}  // namespace
}  // namespace arm_vcpu
