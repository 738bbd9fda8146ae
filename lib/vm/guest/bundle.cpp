// SPDX-License-Identifier: Apache-2.0
#include "arm_vcpu/vm/bundle.hpp"

#include <libfdt.h>

#include <algorithm>

#include "arm_vcpu/vm/device_tree_structure.hpp"

namespace arm_vcpu {

using namespace std::string_view_literals;

// Reads a bundle from the outside in. The first complaint stays; every step returns false from then on.
class BundleParser {
 public:
  BundleParser(std::span<const std::byte> blob, const BundleLimits& limits) noexcept
      : blob_{blob}, fdt_{blob.data()}, limits_{limits} {}

  [[nodiscard]] bool parse() noexcept {
    return check_blob() && check_root() && check_images() && parse_hypervisor() && parse_vms();
  }

  Bundle bundle;
  BundleError error;

 private:
  struct Bytes {
    const char* data{};
    std::size_t size{};
    [[nodiscard]] bool present() const noexcept { return data != nullptr; }
  };
  struct Numbers {
    std::uint64_t value;
    std::uint64_t limit;
  };
  using Names = std::span<const std::string_view>;

  bool refuse(int node, std::string_view property, BundleReason reason, Numbers numbers = {},
              std::string_view detail = {}) noexcept;
  [[nodiscard]] std::string_view name_of(int node) const noexcept;
  [[nodiscard]] Bytes get(int node, const char* property) const noexcept;

  bool require(int node, const char* property) noexcept;
  bool read_text(int node, const char* property, std::string_view& to) noexcept;
  bool read_choice(int node, const char* property, Names choices, std::size_t& index) noexcept;
  bool read_number(int node, const char* property, Numbers range, std::uint64_t& to) noexcept;
  bool check_compatible(int node, const char* wanted) noexcept;
  bool check_properties(int node, Names known) noexcept;
  bool check_subnodes(int node, Names known) noexcept;

  bool check_blob() noexcept;
  bool check_root() noexcept;
  bool check_images() noexcept;
  bool check_image(int node) noexcept;
  bool parse_hypervisor() noexcept;
  bool parse_vms() noexcept;
  bool parse_vm(int node, BundleVm& vm) noexcept;
  bool find_image(int node, const char* property, std::string_view type, std::span<const std::byte>& to) noexcept;
  bool parse_affinity(int node, BundleVm& vm) noexcept;
  bool parse_smc_allow(int node, BundleVm& vm) noexcept;
  bool parse_sve_bits(int node, BundleVm& vm) noexcept;

  std::span<const std::byte> blob_;
  const void* fdt_;
  BundleLimits limits_;
  int images_{};
};

namespace {

constexpr std::string_view kImageTypes[] = {"kernel", "ramdisk", "firmware"};
constexpr std::size_t kKernelType = 0;

}  // namespace

bool BundleParser::refuse(int node, std::string_view property, BundleReason reason, Numbers numbers,
                          std::string_view detail) noexcept {
  char path[96];
  const bool known = node >= 0 && fdt_get_path(fdt_, node, path, sizeof path) == 0;
  error = {.reason = reason,
           .node = ShortText<96>{known ? std::string_view{path} : "/"sv},
           .property = ShortText<48>{property},
           .detail = ShortText<160>{detail},
           .value = numbers.value,
           .limit = numbers.limit};
  return false;
}

std::string_view BundleParser::name_of(int node) const noexcept {
  int size = 0;
  const char* name = fdt_get_name(fdt_, node, &size);
  return name != nullptr ? std::string_view{name, static_cast<std::size_t>(size)} : std::string_view{};
}

BundleParser::Bytes BundleParser::get(int node, const char* property) const noexcept {
  int size = 0;
  const auto* data = static_cast<const char*>(fdt_getprop(fdt_, node, property, &size));
  return {data, data != nullptr ? static_cast<std::size_t>(size) : 0};
}

bool BundleParser::require(int node, const char* property) noexcept {
  return get(node, property).present() || refuse(node, property, BundleReason::missing_property);
}

// Leaves `to` as it is when the node does not have the property.
bool BundleParser::read_text(int node, const char* property, std::string_view& to) noexcept {
  const Bytes bytes = get(node, property);
  if (!bytes.present()) {
    return true;
  }
  const std::string_view text{bytes.data, bytes.size};
  if (text.empty() || text.find('\0') != text.size() - 1) {
    return refuse(node, property, BundleReason::not_a_string);
  }
  to = text.substr(0, text.size() - 1);
  return true;
}

// Leaves `index` as it is when the node does not have the property.
bool BundleParser::read_choice(int node, const char* property, Names choices, std::size_t& index) noexcept {
  std::string_view text;
  if (!read_text(node, property, text)) {
    return false;
  }
  if (!get(node, property).present()) {
    return true;
  }
  const auto* choice = std::find(choices.data(), choices.data() + choices.size(), text);
  if (choice == choices.data() + choices.size()) {
    return refuse(node, property, BundleReason::unknown_value, {}, text);
  }
  index = static_cast<std::size_t>(choice - choices.data());
  return true;
}

// `range` is the least and the most. Leaves `to` as it is when the node does not have the property.
bool BundleParser::read_number(int node, const char* property, Numbers range, std::uint64_t& to) noexcept {
  const Bytes bytes = get(node, property);
  if (!bytes.present()) {
    return true;
  }
  if (bytes.size != sizeof(fdt32_t)) {
    return refuse(node, property, BundleReason::not_a_cell, {bytes.size, sizeof(fdt32_t)});
  }
  const std::uint64_t number = fdt32_ld(reinterpret_cast<const fdt32_t*>(bytes.data));
  if (number < range.value) {
    return refuse(node, property, BundleReason::too_small, {number, range.value});
  }
  if (number > range.limit) {
    return refuse(node, property, BundleReason::too_large, {number, range.limit});
  }
  to = number;
  return true;
}

bool BundleParser::check_compatible(int node, const char* wanted) noexcept {
  return require(node, "compatible") &&
         (fdt_stringlist_contains(get(node, "compatible").data, static_cast<int>(get(node, "compatible").size),
                                  wanted) != 0 ||
          refuse(node, "compatible", BundleReason::wrong_compatible, {}, wanted));
}

// A property nobody reads is most often one that is misspelt.
bool BundleParser::check_properties(int node, Names known) noexcept {
  int property = 0;
  fdt_for_each_property_offset(property, fdt_, node) {
    const char* name = nullptr;
    (void)fdt_getprop_by_offset(fdt_, property, &name, nullptr);
    if (name == nullptr || std::find(known.begin(), known.end(), std::string_view{name}) == known.end()) {
      return refuse(node, name != nullptr ? name : "?", BundleReason::unknown_property);
    }
  }
  return true;
}

bool BundleParser::check_subnodes(int node, Names known) noexcept {
  int child = 0;
  fdt_for_each_subnode(child, fdt_, node) {
    if (std::find(known.begin(), known.end(), name_of(child)) == known.end()) {
      return refuse(child, {}, BundleReason::unknown_node);
    }
  }
  return true;
}

// Everything that follows may trust the structure of the blob.
bool BundleParser::check_blob() noexcept {
  constexpr std::size_t kAlignment = 8;
  const auto address = reinterpret_cast<std::uintptr_t>(fdt_);
  if (blob_.size() < sizeof(fdt_header)) {
    return refuse(-1, {}, BundleReason::cut_off, {blob_.size(), sizeof(fdt_header)});
  }
  if (address % kAlignment != 0) {
    return refuse(-1, {}, BundleReason::unaligned, {address, kAlignment});
  }
  if (fdt_magic(fdt_) != FDT_MAGIC) {
    return refuse(-1, {}, BundleReason::not_a_device_tree, {fdt_magic(fdt_), FDT_MAGIC});
  }
  if (fdt_totalsize(fdt_) > blob_.size()) {
    return refuse(-1, {}, BundleReason::cut_off, {blob_.size(), fdt_totalsize(fdt_)});
  }
  int status = fdt_check_header(fdt_);
  if (status == 0) status = structure_ends(blob_) ? fdt_check_full(fdt_, blob_.size()) : -FDT_ERR_BADSTRUCTURE;
  if (status != 0) {
    return refuse(-1, {}, BundleReason::damaged, {static_cast<std::uint64_t>(-status), 0});
  }
  return true;
}

bool BundleParser::check_root() noexcept {
  static constexpr std::string_view kProperties[] = {"compatible", "description", "#address-cells", "#size-cells"};
  static constexpr std::string_view kNodes[] = {"images", "vms", "hypervisor"};
  std::string_view description;
  if (!check_compatible(0, "arm-vcpu,bundle") || !check_properties(0, kProperties) || !check_subnodes(0, kNodes) ||
      !read_text(0, "description", description)) {
    return false;
  }
  images_ = fdt_subnode_offset(fdt_, 0, "images");
  if (images_ < 0) {
    return refuse(0, "images", BundleReason::missing_node);
  }
  return true;
}

bool BundleParser::check_images() noexcept {
  if (!check_properties(images_, {})) {
    return false;
  }
  int image = 0;
  fdt_for_each_subnode(image, fdt_, images_) {
    if (!check_image(image)) {
      return false;
    }
  }
  return true;
}

bool BundleParser::check_image(int node) noexcept {
  static constexpr std::string_view kProperties[] = {"description", "data", "type", "arch", "compression"};
  static constexpr std::string_view kArchitectures[] = {"arm64"};
  static constexpr std::string_view kCompressions[] = {"none"};
  std::string_view description;
  std::size_t type = 0;
  std::size_t ignored = 0;
  if (!check_properties(node, kProperties) || !check_subnodes(node, {}) || !require(node, "data") ||
      !require(node, "type") || !read_text(node, "description", description) ||
      !read_choice(node, "type", kImageTypes, type) || !read_choice(node, "arch", kArchitectures, ignored) ||
      !read_choice(node, "compression", kCompressions, ignored)) {
    return false;
  }
  const Bytes data = get(node, "data");
  if (data.size == 0) {
    return refuse(node, "data", BundleReason::empty_data);
  }
  if (type == kKernelType) {
    if (const auto kernel = inspect_kernel(std::as_bytes(std::span{data.data, data.size})); !kernel) {
      char text[160];
      TextBuffer detail{text};
      format_to(detail, "{}; {}", describe(kernel.error().code).what, describe(kernel.error().code).fix);
      return refuse(node, "data", BundleReason::bad_kernel, {static_cast<std::uint64_t>(kernel.error().code), 0},
                    detail.view());
    }
  }
  return true;
}

bool BundleParser::parse_hypervisor() noexcept {
  static constexpr std::string_view kProperties[] = {"log-level", "recorder", "vectors", "trace-file", "simulate"};
  static constexpr std::string_view kLevels[] = {"error", "warn", "info", "debug", "trace"};
  const int node = fdt_subnode_offset(fdt_, 0, "hypervisor");
  if (node < 0) {
    return true;
  }
  static constexpr std::string_view kSwitch[] = {"off", "on"};
  static constexpr std::string_view kVectors[] = {"plain", "answering"};
  std::size_t level = 0;
  std::size_t recorder = 1;
  std::size_t vectors = 1;
  if (!check_properties(node, kProperties) || !check_subnodes(node, {}) ||
      !read_choice(node, "log-level", kLevels, level) || !read_choice(node, "recorder", kSwitch, recorder) ||
      !read_choice(node, "vectors", kVectors, vectors) || !read_text(node, "trace-file", bundle.trace_file_) ||
      !read_text(node, "simulate", bundle.simulate_)) {
    return false;
  }
  bundle.recorder_ = recorder != 0;
  bundle.answers_at_vector_ = vectors != 0;
  if (get(node, "log-level").present()) {
    bundle.log_level_ = static_cast<BundleLogLevel>(level);
  }
  return true;
}

bool BundleParser::parse_vms() noexcept {
  const int vms = fdt_subnode_offset(fdt_, 0, "vms");
  if (vms < 0) {
    return refuse(0, "vms", BundleReason::missing_node);
  }
  if (!check_properties(vms, {})) {
    return false;
  }
  int node = 0;
  fdt_for_each_subnode(node, fdt_, vms) {
    if (bundle.vm_count_ == kMaxBundleVms) {
      return refuse(vms, {}, BundleReason::too_many_vms, {kMaxBundleVms, 0});
    }
    if (!parse_vm(node, bundle.vms_[bundle.vm_count_])) {
      return false;
    }
    ++bundle.vm_count_;
  }
  return bundle.vm_count_ != 0 || refuse(vms, {}, BundleReason::no_vms);
}

bool BundleParser::parse_vm(int node, BundleVm& vm) noexcept {
  static constexpr std::string_view kProperties[] = {
      "compatible", "description", "kernel",         "firmware", "ramdisk", "bootargs",  "cpus",     "affinity",
      "memory-mib", "gic-version", "scratch-device", "pmu",      "restart", "smc-allow", "sve-bits", "mte"};
  static constexpr std::string_view kSwitch[] = {"off", "on"};
  const Numbers gic_versions =
      limits_.gic_version != 0 ? Numbers{limits_.gic_version, limits_.gic_version} : Numbers{2, 3};
  if (!check_compatible(node, "arm-vcpu,vm") || !check_properties(node, kProperties) || !check_subnodes(node, {})) {
    return false;
  }
  const bool has_kernel = get(node, "kernel").present();
  const bool has_firmware = get(node, "firmware").present();
  if (has_kernel && has_firmware) {
    return refuse(node, "firmware", BundleReason::two_to_boot);
  }
  if (!has_kernel && !has_firmware) {
    return refuse(node, "kernel", BundleReason::nothing_to_boot);
  }
  vm.name = name_of(node);
  std::uint64_t cpus = vm.cpus;
  std::uint64_t memory_mib = kDefaultGuestMib;
  std::uint64_t gic_version = 0;
  std::size_t pmu = 1;
  std::size_t scratch = 0;
  std::size_t mte = 0;
  std::uint64_t restarts = 0;
  const std::uint64_t most_cpus = std::min(limits_.vcpus_per_vm, kMaxBundleVcpus);
  if (!read_text(node, "description", vm.name) || !read_text(node, "bootargs", vm.bootargs) ||
      !find_image(node, has_kernel ? "kernel" : "firmware", has_kernel ? "kernel" : "firmware", vm.boot_file) ||
      !find_image(node, "ramdisk", "ramdisk", vm.ramdisk) || !read_number(node, "cpus", {1, most_cpus}, cpus) ||
      !read_number(node, "memory-mib", {kMinGuestMib, kMaxGuestMib}, memory_mib) ||
      !read_number(node, "restart", {0, kMaxRestarts}, restarts) ||
      !read_number(node, "gic-version", gic_versions, gic_version) || !read_choice(node, "pmu", kSwitch, pmu) ||
      !read_choice(node, "scratch-device", kSwitch, scratch) || !read_choice(node, "mte", kSwitch, mte)) {
    return false;
  }
  if (mte != 0 && !limits_.mte) {
    return refuse(node, "mte", BundleReason::no_tags);
  }
  vm.mte = mte != 0;
  vm.scratch_device = scratch != 0;
  if (has_kernel) {
    if (const auto kernel = inspect_kernel(vm.boot_file)) {  // check_image() has seen it
      vm.kernel = *kernel;
    }
  }
  vm.cpus = static_cast<unsigned>(cpus);
  vm.memory_bytes = memory_mib << 20;
  vm.pmu = pmu != 0;
  vm.restarts = static_cast<unsigned>(restarts);
  return parse_affinity(node, vm) && parse_smc_allow(node, vm) && parse_sve_bits(node, vm);
}

// Leaves `to` as it is when the node does not have the property.
bool BundleParser::find_image(int node, const char* property, std::string_view type,
                              std::span<const std::byte>& to) noexcept {
  std::string_view name;
  if (!read_text(node, property, name)) {
    return false;
  }
  if (!get(node, property).present()) {
    return true;
  }
  const int image = fdt_subnode_offset_namelen(fdt_, images_, name.data(), static_cast<int>(name.size()));
  if (image < 0) {
    return refuse(node, property, BundleReason::no_such_image, {}, name);
  }
  std::string_view image_type;
  if (!read_text(image, "type", image_type)) {
    return false;
  }
  if (image_type != type) {
    return refuse(node, property, BundleReason::wrong_image_type, {}, name);
  }
  const Bytes data = get(image, "data");
  to = std::as_bytes(std::span{data.data, data.size});
  return true;
}

bool BundleParser::parse_affinity(int node, BundleVm& vm) noexcept {
  constexpr const char* kName = "affinity";
  const Bytes bytes = get(node, kName);
  if (!bytes.present()) {
    return true;
  }
  if (bytes.size % sizeof(fdt32_t) != 0) {
    return refuse(node, kName, BundleReason::not_cells, {bytes.size, sizeof(fdt32_t)});
  }
  if (bytes.size / sizeof(fdt32_t) != vm.cpus) {
    return refuse(node, kName, BundleReason::affinity_count, {bytes.size / sizeof(fdt32_t), vm.cpus});
  }
  for (unsigned i = 0; i < vm.cpus; ++i) {
    const std::uint32_t cpu = fdt32_ld(reinterpret_cast<const fdt32_t*>(bytes.data) + i);
    if (cpu >= limits_.physical_cpus || cpu > 0xFFFF) {
      return refuse(node, kName, BundleReason::affinity_range, {cpu, std::min(limits_.physical_cpus, 0x10000U) - 1});
    }
    vm.affinity[i] = static_cast<std::uint16_t>(cpu);
  }
  vm.has_affinity = true;
  return true;
}

bool BundleParser::parse_sve_bits(int node, BundleVm& vm) noexcept {
  constexpr std::uint64_t kStep = 128;
  std::uint64_t bits = vm.sve_bits;
  if (!read_number(node, "sve-bits", {0, vm.sve_bits}, bits)) {
    return false;
  }
  if (bits % kStep != 0) {
    return refuse(node, "sve-bits", BundleReason::not_a_multiple, {bits, kStep});
  }
  vm.sve_bits = static_cast<unsigned>(bits);
  return true;
}

bool BundleParser::parse_smc_allow(int node, BundleVm& vm) noexcept {
  constexpr const char* kName = "smc-allow";
  constexpr std::size_t kPair = 2 * sizeof(fdt32_t);
  const Bytes bytes = get(node, kName);
  if (!bytes.present()) {
    return true;
  }
  if (bytes.size == 0 || bytes.size % kPair != 0) {
    return refuse(node, kName, BundleReason::not_pairs, {bytes.size, kPair});
  }
  if (bytes.size / kPair > kMaxSmcRanges) {
    return refuse(node, kName, BundleReason::too_many_ranges, {bytes.size / kPair, kMaxSmcRanges});
  }
  const auto* cells = reinterpret_cast<const fdt32_t*>(bytes.data);
  for (; vm.smc_range_count < bytes.size / kPair; ++vm.smc_range_count) {
    const FunctionRange range{fdt32_ld(cells + 2 * vm.smc_range_count), fdt32_ld(cells + 2 * vm.smc_range_count + 1)};
    if (range.first > range.last) {
      return refuse(node, kName, BundleReason::range_order, {range.first, range.last});
    }
    if (!is_forwardable(range)) {
      return refuse(node, kName, BundleReason::never_forwarded, {range.first, range.last});
    }
    vm.smc_ranges[vm.smc_range_count] = range;
  }
  return true;
}

std::expected<Bundle, BundleError> Bundle::parse(std::span<const std::byte> blob, const BundleLimits& limits) noexcept {
  BundleParser parser{blob, limits};
  if (!parser.parse()) {
    return std::unexpected(parser.error);
  }
  return parser.bundle;
}

}  // namespace arm_vcpu
