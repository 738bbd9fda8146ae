// SPDX-License-Identifier: Apache-2.0
#include <functional>

extern "C" {
#include <libfdt.h>
}

#include "test_state.hpp"

namespace arm_vcpu::diag {
namespace {

class Preflight : public TestState {};

TEST_F(Preflight, AHealthyVmIsSilent) {
  before_entry();
  EXPECT_THAT(codes(), IsEmpty()) << text();
}

TEST_F(Preflight, FirmwareInFlashIsHealthy) {
  ram.push_back({"flash", 0, 0x2'0000'0000, 0x40'0000, false});
  configuration.ram = ram;
  memory.mappings.push_back({0, 0x2'0000'0000, 0x40'0000, stage2::kGuestRom});
  memory.poke(0, 0xD503'201F'1400'000A);
  configuration.entry = exit.frame.elr = 0;
  configuration.image_header = nullptr;
  loaded = {{"firmware", 0, 0x10'0000}, {"device tree", kDtb, 0x1'0000}};
  configuration.loaded = loaded;
  before_entry();
  EXPECT_THAT(codes(), IsEmpty()) << text();
}

TEST_F(Preflight, NothingKnownIsSilent) {
  state = {};
  before_entry();
  EXPECT_THAT(codes(), IsEmpty());
}

TEST_F(Preflight, NotAtEl2) {
  cpu.id.current_el = 1;
  before_entry();
  EXPECT_THAT(codes(), ElementsAre(Code::hardware_missing));
  EXPECT_THAT(text(), HasSubstr("start the hypervisor at EL2"));
}
TEST_F(Preflight, IpaSize) {
  wanted.ipa_bits = 48;
  before_entry();
  EXPECT_THAT(codes(), ElementsAre(Code::hardware_missing));
  EXPECT_THAT(text(), HasSubstr("asked: 48 bits of IPA"));
}
TEST_F(Preflight, NoGic) {
  cpu.id.icc_sre_el2 = 0;
  before_entry();
  EXPECT_THAT(codes(), ElementsAre(Code::hardware_missing));
}
TEST_F(Preflight, Granule) {
  cpu.id.id_aa64mmfr0_el1 |= 0xFU << 28;
  before_entry();
  EXPECT_THAT(codes(), ElementsAre(Code::hardware_missing));
}
TEST_F(Preflight, VtcrAndRoot) {
  registers.vttbr_el2 += 0x1000;
  before_entry();
  EXPECT_THAT(codes(), IsEmpty()) << "one root table: a page is enough";
  registers.vttbr_el2 = 0x1000;
  registers.vtcr_el2 = stage2::make_layout({.ipa_bits = 40, .pa_bits = 44})->vtcr().raw;
  before_entry();
  EXPECT_THAT(codes(), ElementsAre(Code::start_level)) << "two root tables";
  registers.vtcr_el2 = stage2::make_layout({.ipa_bits = 44, .pa_bits = 44})->vtcr().raw;
  before_entry();
  EXPECT_THAT(codes(), IsEmpty());
  cpu.id.id_aa64mmfr0_el1 = 2;
  before_entry();
  EXPECT_THAT(codes(), Contains(Code::start_level)) << "level 0 on a CPU of 40 bits";
}
TEST_F(Preflight, KernelAndDeviceTreeOverlap) {
  loaded[1].base = configuration.dtb = exit.frame.gpr[0] = kEntry + 0x100'0000;
  memory.poke(configuration.dtb, 0xEDFE'0DD0, 4);
  before_entry();
  EXPECT_THAT(codes(), ElementsAre(Code::overlap));
  EXPECT_THAT(text(), HasSubstr("kernel and device tree overlap at IPA 0x41200000"));
}
TEST_F(Preflight, TouchingIsNotOverlapping) {
  loaded[2].base = loaded[1].base + loaded[1].bytes;
  before_entry();
  EXPECT_THAT(codes(), IsEmpty());
}
TEST_F(Preflight, RamAndHypervisorOverlap) {
  hypervisor[0].base = ram[0].pa + kRamBytes - 1;
  before_entry();
  EXPECT_THAT(codes(), ElementsAre(Code::overlap));
  EXPECT_THAT(text(), HasSubstr("RAM and hypervisor image overlap at PA"));
  hypervisor[0].base = ram[0].pa + kRamBytes;
  before_entry();
  EXPECT_THAT(codes(), IsEmpty());
}
TEST_F(Preflight, RamAndDeviceOverlap) {
  devices[1].base = kRam + 0x1000;
  before_entry();
  EXPECT_THAT(codes(), Contains(Code::overlap));
  EXPECT_THAT(codes(), Contains(Code::mmio_failure)) << "the mapping of RAM hides the device";
}
TEST_F(Preflight, LoadedOutsideRam) {
  loaded[2].base = kRam + kRamBytes - 0x1000;
  before_entry();
  EXPECT_THAT(codes(), ElementsAre(Code::overlap));
  EXPECT_THAT(text(), HasSubstr("initrd passes the end of the guest's memory at IPA 0x60000000"));
}
TEST_F(Preflight, EntryOutsideRam) {
  configuration.entry = exit.frame.elr = 0x8020'0000;
  configuration.image_header = nullptr;
  before_entry();
  EXPECT_THAT(codes(), ElementsAre(Code::linked_elsewhere));
}
TEST_F(Preflight, EntryNotExecutable) {
  memory.mappings[0].attributes.execute = false;
  before_entry();
  EXPECT_THAT(codes(), ElementsAre(Code::linked_elsewhere));
  EXPECT_THAT(text(), HasSubstr("cannot be executed"));
}
TEST_F(Preflight, EntryThatIsNoCode) {
  memory.poke(kEntry, 0x0001'0102'464C'457F);
  before_entry();
  EXPECT_THAT(codes(), ElementsAre(Code::boot_protocol));
  EXPECT_THAT(text(), HasSubstr("holds an ELF header, not code"));
  memory.poke(kEntry, 0);
  before_entry();
  EXPECT_THAT(text(), HasSubstr("holds zeroes"));
}
TEST_F(Preflight, ImageNotCleaned) {
  state.entry_bytes = CapturedState::EntryBytes{};
  before_entry();
  EXPECT_THAT(codes(), IsEmpty());
  state.entry_bytes->uncached[3] = 1;
  before_entry();
  EXPECT_THAT(codes(), ElementsAre(Code::image_not_cleaned));
  EXPECT_THAT(text(), HasSubstr("uncached: 00 00 00 01"));
}
TEST_F(Preflight, BootProtocol) {
  const auto broken = [&](std::string_view says) {
    before_entry();
    EXPECT_THAT(codes(), ElementsAre(Code::boot_protocol)) << says;
    EXPECT_THAT(text(), HasSubstr(std::string{says}));
  };
  registers.sctlr_el1 |= 1;
  broken("the MMU or the data cache is on");
  registers.sctlr_el1 &= ~1ULL;
  exit.frame.gpr[0] = 0;
  broken("x0 is not the device tree");
  exit.frame.gpr[0] = kDtb;
  exit.frame.spsr = Spsr::from(0x5);
  broken("not at EL1h with DAIF masked");
  exit.frame.spsr = Spsr::from(0x3C5);
  header.text_offset = 0x80000;
  broken("text_offset");
  header.text_offset = 0;
  header.image_size = kRamBytes;
  broken("image_size");
  header.image_size = 0x100'0000;
  memory.poke(kDtb, 0, 4);
  broken("there is no device tree where x0 points");
  memory.poke(kDtb, 0xEDFE'0DD0, 4);
  tree.valid = false;
  tree.status = -11;
  broken("the device tree is damaged");
}
TEST_F(Preflight, MemoryNode) {
  tree.memory[0].bytes += 0x1000;
  before_entry();
  EXPECT_THAT(codes(), ElementsAre(Code::memory_node));
  EXPECT_THAT(text(), HasSubstr("is not mapped from 0x60000000 on"));
  // Two ranges that touch hold it.
  ram.push_back({"more RAM", kRam + kRamBytes, 0x3'0000'0000, 0x1000, true});
  configuration.ram = ram;
  before_entry();
  EXPECT_THAT(codes(), IsEmpty());
}
TEST_F(Preflight, CpuNode) {
  tree.cpu_reg[2] = 0x100;
  before_entry();
  EXPECT_THAT(codes(), ElementsAre(Code::cpu_on_failed));
}
TEST_F(Preflight, PassthroughThatIsNotMapped) {
  devices[1].passthrough = true;
  before_entry();
  EXPECT_THAT(codes(), ElementsAre(Code::mmio_failure));
  memory.mappings.push_back({kUart, kUart, 0x1000, stage2::kGuestDevice});
  before_entry();
  EXPECT_THAT(codes(), IsEmpty());
  devices[1].passthrough = false;
  before_entry();
  EXPECT_THAT(codes(), ElementsAre(Code::mmio_failure));
  EXPECT_THAT(text(), HasSubstr("emulated, and a stage-2 mapping hides it"));
}
TEST_F(Preflight, Contradiction) {
  configuration.passthrough_interrupt = true;
  before_entry();
  EXPECT_THAT(codes(), ElementsAre(Code::interrupts_contradict));
}
TEST_F(Preflight, BeyondThePhysicalAddresses) {
  ram[0].pa = std::uint64_t{1} << 44;
  before_entry();
  EXPECT_THAT(codes(), ElementsAre(Code::address_size));
}

// --- the device tree ------------------------------------------------------------------------------------------------

std::vector<std::byte> blob(const std::function<void(void*)>& write) {
  std::vector<std::byte> bytes(4096);
  void* tree = bytes.data();
  fdt_create(tree, static_cast<int>(bytes.size()));
  fdt_finish_reservemap(tree);
  fdt_begin_node(tree, "");
  fdt_property_u32(tree, "#address-cells", 2);
  fdt_property_u32(tree, "#size-cells", 2);
  write(tree);
  fdt_end_node(tree);
  fdt_finish(tree);
  return bytes;
}

void write_machine(void* tree) {
  const std::uint32_t reg[] = {0, cpu_to_fdt32(0x4000'0000), 0, cpu_to_fdt32(0x2000'0000)};
  fdt_begin_node(tree, "memory@40000000");
  fdt_property_string(tree, "device_type", "memory");
  fdt_property(tree, "reg", reg, sizeof reg);
  fdt_end_node(tree);
  fdt_begin_node(tree, "cpus");
  fdt_property_u32(tree, "#address-cells", 1);
  fdt_property_u32(tree, "#size-cells", 0);
  for (const std::uint32_t cpu : {0U, 0x100U}) {
    fdt_begin_node(tree, cpu == 0 ? "cpu@0" : "cpu@100");
    fdt_property_string(tree, "device_type", "cpu");
    fdt_property_u32(tree, "reg", cpu);
    fdt_end_node(tree);
  }
  fdt_end_node(tree);
  fdt_begin_node(tree, "psci");
  fdt_property_string(tree, "method", "smc");
  fdt_end_node(tree);
  fdt_begin_node(tree, "chosen");
  fdt_property_u64(tree, "linux,initrd-start", 0x4800'0000);
  fdt_property_u32(tree, "linux,initrd-end", 0x4900'0000);
  fdt_end_node(tree);
}

TEST(DeviceTreeFacts, ReadsWhatTheRulesCompare) {
  const DeviceTreeFacts facts = read_device_tree_facts(blob(write_machine));
  EXPECT_TRUE(facts.valid);
  EXPECT_EQ(facts.memory_count, 1U);
  EXPECT_EQ(facts.memory[0].base, 0x4000'0000U);
  EXPECT_EQ(facts.memory[0].bytes, 0x2000'0000U);
  EXPECT_EQ(facts.cpu_count, 2U);
  EXPECT_EQ(facts.cpu_reg[1], 0x100U);
  EXPECT_EQ(facts.method, Conduit::smc);
  EXPECT_EQ(facts.initrd_start, 0x4800'0000U);
  EXPECT_EQ(facts.initrd_end, 0x4900'0000U);
}

TEST(DeviceTreeFacts, AnEmptyTreeHasNone) {
  const DeviceTreeFacts facts = read_device_tree_facts(blob([](void*) {}));
  EXPECT_TRUE(facts.valid);
  EXPECT_EQ(facts.memory_count + facts.cpu_count, 0U);
  EXPECT_EQ(facts.method, Conduit::unknown);
}

TEST(DeviceTreeFacts, DamageIsSaid) {
  EXPECT_FALSE(read_device_tree_facts({}).valid);
  std::vector<std::byte> bytes = blob(write_machine);
  EXPECT_FALSE(read_device_tree_facts(std::span{bytes}.first(64)).valid);
  const auto total = fdt_totalsize(bytes.data());
  EXPECT_FALSE(read_device_tree_facts(std::span{bytes}.first(total - 4)).valid);
  for (std::size_t at = 0; at < total; ++at) {
    std::vector<std::byte> damaged = bytes;
    damaged[at] ^= std::byte{0xFF};
    (void)read_device_tree_facts(damaged);  // any answer, no crash
  }
}

}  // namespace
}  // namespace arm_vcpu::diag
