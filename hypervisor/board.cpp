// SPDX-License-Identifier: Apache-2.0
#include "board.hpp"

#include "device_tree.hpp"

extern "C" {
#include <libfdt.h>
}

namespace arm_vcpu::hv {
namespace {

using dt::Cells;
using dt::find_compatible;
using dt::Node;

constexpr std::uint64_t kAffinityMask = 0xFF'00FF'FFFFULL;

auto problem(std::string_view what, std::string_view fix) noexcept {
  return std::unexpected{BoardProblem{what, fix}};
}

Node node_at(const void* tree, const char* path) noexcept {
  return {tree, fdt_path_offset(tree, path)};
}

// Calls `visit` with each direct child; stops at the first problem.
template <class Visit>
BoardResult<void> for_each_child(const void* tree, Node parent, Visit visit) noexcept {
  if (!parent.exists()) return {};
  int offset = 0;
  fdt_for_each_subnode(offset, tree, parent.offset()) {
    if (BoardResult<void> done = visit(Node{tree, offset, parent.offset()}); !done) return done;
  }
  return {};
}

// stdout-path is a path or an alias, with options behind a colon.
Node stdout_node(const void* tree) noexcept {
  const std::string_view path = node_at(tree, "/chosen").text("stdout-path");
  const std::string_view name = path.substr(0, path.find(':'));
  if (name.empty()) return {tree, -1};
  return {tree, fdt_path_offset_namelen(tree, name.data(), static_cast<int>(name.size()))};
}

BoardResult<void> read_memory(const void* tree, Board& board) noexcept {
  constexpr BoardProblem kTooMany{"the device tree has more memory ranges than this hypervisor keeps",
                                  "raise the capacity of Board's range sets"};
  BoardResult<void> banks = for_each_child(tree, node_at(tree, "/"), [&](Node node) noexcept -> BoardResult<void> {
    if (node.text("device_type") != "memory" || !node.is_enabled()) return {};
    for (unsigned index = 0;; ++index) {
      const std::optional<Range> bank = node.registers(index);
      if (!bank) return {};
      if (!board.ram.add(*bank)) return std::unexpected{kTooMany};
    }
  });
  if (!banks) return banks;
  if (board.ram.view().empty()) {
    return problem("the device tree describes no memory", "it needs a node with device_type = \"memory\" and a reg");
  }

  for (int index = 0; index < fdt_num_mem_rsv(tree); ++index) {
    Range range{};
    if (fdt_get_mem_rsv(tree, index, &range.base, &range.bytes) == 0 && !board.reserved.add(range)) {
      return std::unexpected{kTooMany};
    }
  }
  return for_each_child(tree, node_at(tree, "/reserved-memory"), [&](Node node) noexcept -> BoardResult<void> {
    if (!node.is_enabled()) return {};
    for (unsigned index = 0;; ++index) {
      const std::optional<Range> range = node.registers(index);
      if (!range) return {};
      if (!board.reserved.add(*range)) return std::unexpected{kTooMany};
      if (node.has("no-map") && !board.never_map.add(range->rounded_out(0x1000))) return std::unexpected{kTooMany};
    }
  });
}

void read_chosen(const void* tree, Board& board) noexcept {
  const Node chosen = node_at(tree, "/chosen");
  const Cells start = chosen.cells("linux,initrd-start");
  const Cells end = chosen.cells("linux,initrd-end");
  board.bundle = Range::from_to(start.number(0, start.count()), end.number(0, end.count()));
  board.bootargs = chosen.text("bootargs");
  board.model = node_at(tree, "/").text("model");
}

BoardResult<void> read_maintenance(Node node, GicInfo& gic) noexcept {
  const std::optional<Interrupt> maintenance = node.interrupt(0);
  if (!maintenance) {
    return problem("the GIC's node has no maintenance interrupt",
                   "virtualization needs it (QEMU: -machine virt,virtualization=on)");
  }
  gic.maintenance_intid = maintenance->intid;
  return {};
}

// [dtbinding] "ARM Generic Interrupt Controller v1 and v2": Distributor, CPU interface, and with virtualization
// extensions the virtual interface control registers and the virtual CPU interface.
BoardResult<void> read_gic_v2(Node node, GicInfo& gic) noexcept {
  constexpr std::uint64_t kPage = 0x1000;
  gic.version = 2;
  Range* const frames[] = {&gic.distributor, &gic.cpu_interface, &gic.interface_control, &gic.virtual_cpu_interface};
  for (unsigned index = 0; index < 4; ++index) {
    const std::optional<Range> frame = node.registers(index);
    if (!frame) {
      return problem("the machine's GICv2 has no virtualization extensions",
                     "a GICv2 with GICH and GICV in its node's reg, or a GICv3, is needed");
    }
    *frames[index] = *frame;
  }
  // GICC_DIR is in the second page of GICC. A guest gets the first page of GICV, and nothing else.
  if (gic.cpu_interface.bytes < 2 * kPage || gic.virtual_cpu_interface.bytes < kPage ||
      gic.virtual_cpu_interface.base % kPage != 0) {
    return problem("the GICv2's GICC has less than 8 KiB, or its GICV no page of its own",
                   "check reg of the GIC's node: Distributor, GICC, GICH, GICV");
  }
  return read_maintenance(node, gic);
}

BoardResult<void> read_gic(const void* tree, GicInfo& gic) noexcept {
  const Node node = find_compatible(tree, "arm,gic-v3");
  if (!node.exists()) {
    if (const Node v2 = find_compatible(tree, dt::kGicV2Compatibles); v2.exists()) return read_gic_v2(v2, gic);
    return problem("the device tree has no interrupt controller that is a GICv3 or a GICv2",
                   "one is needed (QEMU: -machine virt,gic-version=3)");
  }
  const std::optional<Range> distributor = node.registers(0);
  if (!distributor) return problem("the GIC's node has no usable reg", "check the device tree with dtc -I dtb -O dts");
  gic.distributor = *distributor;
  const Cells regions = node.cells("#redistributor-regions");
  const std::uint32_t wanted = regions.count() != 0 ? regions.at(0) : 1;
  for (unsigned index = 0; index < wanted; ++index) {
    const std::optional<Range> region = node.registers(1 + index);
    if (!region || gic.redistributor_count == kMaxRedistributorRegions) {
      return problem("the GIC's redistributor regions cannot be read", "check its reg and #redistributor-regions");
    }
    gic.redistributors[gic.redistributor_count++] = *region;
  }
  const Cells stride = node.cells("redistributor-stride");
  gic.redistributor_stride = stride.number(0, stride.count());
  return read_maintenance(node, gic);
}

BoardResult<void> read_timer(const void* tree, TimerInfo& timer) noexcept {
  constexpr const char* kTimers[] = {"arm,armv8-timer", "arm,armv7-timer"};
  const Node node = find_compatible(tree, kTimers);
  if (!node.exists()) return problem("the device tree has no arm,armv8-timer", "add the architected timer's node");
  // [dtbinding] "ARM architected timer": in this order unless interrupt-names says otherwise.
  struct Line {
    const char* name;
    unsigned position;
    std::uint32_t* intid;
  };
  for (const Line& line : {Line{"phys", 1, &timer.physical_intid}, Line{"virt", 2, &timer.virtual_intid},
                           Line{"hyp-phys", 3, &timer.hypervisor_intid}}) {
    const std::optional<unsigned> position =
        node.has("interrupt-names") ? node.index_of("interrupt-names", line.name) : std::optional{line.position};
    const std::optional<Interrupt> interrupt = position ? node.interrupt(*position) : std::nullopt;
    if (!interrupt) {
      return problem("the timer's node lacks the interrupt of the EL1 physical, the virtual or the EL2 physical timer",
                     "list all of them, or name them in interrupt-names");
    }
    *line.intid = interrupt->intid;
  }
  return {};
}

// [dtbinding] "ARM Performance Monitor Units". A board whose CPUs differ has a node for each kind, with one PPI for
// all.
std::uint32_t read_pmu(const void* tree) noexcept {
  constexpr const char* kMonitors[] = {
      "arm,armv8-pmuv3",    "arm,cortex-a35-pmu", "arm,cortex-a53-pmu",  "arm,cortex-a55-pmu",  "arm,cortex-a57-pmu",
      "arm,cortex-a65-pmu", "arm,cortex-a72-pmu", "arm,cortex-a73-pmu",  "arm,cortex-a75-pmu",  "arm,cortex-a76-pmu",
      "arm,cortex-a77-pmu", "arm,cortex-a78-pmu", "arm,neoverse-n1-pmu", "arm,neoverse-n2-pmu", "arm,neoverse-v1-pmu",
  };
  // An SPI for each CPU, as some boards have it, cannot be told apart by the CPU that takes it.
  const Node node = find_compatible(tree, kMonitors, [](const Node& found) noexcept {
    const std::optional<Interrupt> overflow = found.interrupt(0);
    return overflow && overflow->intid >= 16 && overflow->intid < 32;
  });
  return node.exists() ? node.interrupt(0)->intid : 0;
}

BoardResult<void> read_cpus(const void* tree, CpuList& cpus) noexcept {
  const Node parent = node_at(tree, "/cpus");
  const int width = parent.exists() ? fdt_address_cells(tree, parent.offset()) : 0;
  BoardResult<void> done = for_each_child(tree, parent, [&](Node node) noexcept -> BoardResult<void> {
    if (node.text("device_type") != "cpu") return {};
    const std::string_view status = node.text("status");
    // "disabled" means quiescent: it is started by its enable-method; "fail" means broken. [dtspec] "/cpus/cpu*"
    const bool broken = status.starts_with("fail");
    const Cells reg = node.cells("reg");
    if (broken || width <= 0 || reg.count() < static_cast<unsigned>(width) || cpus.count == kMaxBoardCpus) {
      ++cpus.unusable;
      return {};
    }
    cpus.mpidr[cpus.count++] = reg.number(0, static_cast<unsigned>(width)) & kAffinityMask;
    return {};
  });
  if (!done) return done;
  if (cpus.count == 0)
    return problem("the device tree lists no CPU", "it needs /cpus/cpu@... with device_type and reg");
  return {};
}

}  // namespace

BoardResult<UartInfo> find_uart(const void* tree) noexcept {
  Node node = stdout_node(tree);
  if (!node.is_compatible("arm,pl011")) node = find_compatible(tree, "arm,pl011");
  if (!node.exists()) return problem("the device tree has no arm,pl011", "the console needs one");
  const std::optional<Range> registers = node.registers(0);
  if (!registers) return problem("the PL011's node has no usable reg", "check the device tree with dtc -I dtb -O dts");
  return UartInfo{*registers, node.interrupt(0)};
}

PsciConduit find_psci(const void* tree) noexcept {
  // PSCI 0.1 ("arm,psci") has function numbers of the platform's own: too old.
  constexpr const char* kVersions[] = {"arm,psci-1.0", "arm,psci-0.2"};
  const std::string_view method = find_compatible(tree, kVersions).text("method");
  return method == "smc" ? PsciConduit::smc : method == "hvc" ? PsciConduit::hvc : PsciConduit::none;
}

BoardResult<GicInfo> find_gic(const void* tree) noexcept {
  GicInfo gic{};
  if (const BoardResult<void> read = read_gic(tree, gic); !read) return std::unexpected{read.error()};
  return gic;
}

BoardResult<void> read_board(const void* tree, Board& board) noexcept {
  board.tree = {reinterpret_cast<std::uintptr_t>(tree), fdt_totalsize(tree)};
  read_chosen(tree, board);
  if (BoardResult<void> memory = read_memory(tree, board); !memory) return memory;
  if (BoardResult<void> gic = read_gic(tree, board.gic); !gic) return gic;
  if (BoardResult<void> timer = read_timer(tree, board.timer); !timer) return timer;
  board.pmu_intid = read_pmu(tree);
  return read_cpus(tree, board.cpus);
}

}  // namespace arm_vcpu::hv
