# SPDX-License-Identifier: Apache-2.0
import struct
import tempfile
import unittest

from arm_vcpu_gdb import elf, tables, walks

VTCR = 0x800D3560  # 32 bits of IPA from level 1, 4 KiB, 48 bits of PA
TCR_48 = 0x5_B510_3510  # T0SZ, T1SZ 16, 4 KiB both, IPS 48 bits


class Memory:
    def __init__(self, words):
        self.words = words

    def __call__(self, at):
        if at not in self.words:
            raise walks.Unreadable("nothing there")
        return self.words[at], ""


class Stage2(unittest.TestCase):
    MEMORY = Memory({0x4000_0008: 0x4000_1003, 0x4000_1000: 0x4840_07FD, 0x4000_1008: 0x4000_2003,
                     0x4000_2000: 0x4860_07FF, 0x4000_2008: 0x4860_1000 | 0x3FF, 0x4000_0000: 0})

    def walk(self, ipa):
        return walks.stage2_walk(0x1_0000_4000_0000, VTCR, ipa, self.MEMORY)

    def test_block(self):
        found = self.walk(0x4008_1234)
        self.assertEqual(found.output, 0x4848_1234)
        self.assertEqual([s.level for s in found.steps], [1, 2])
        self.assertEqual(found.region_bytes, 2 << 20)
        self.assertEqual(found.attributes, "normal-wb rwx inner-shareable")

    def test_page(self):
        self.assertEqual(self.walk(0x4020_0678).output, 0x4860_0678)

    def test_access_flag(self):
        found = self.walk(0x4020_1000)
        self.assertTrue(found.fault.startswith("access flag fault, level 3"))
        self.assertEqual(found.output, 0x4860_1000)

    def test_hole(self):
        found = self.walk(0x900_0000)
        self.assertFalse(found.ok)
        self.assertEqual(found.fault, "translation fault, level 1")

    def test_beyond_the_input_size(self):
        self.assertIn("beyond 32 bits", self.walk(1 << 32).fault)

    def test_unreadable(self):
        self.assertIn("cannot be read", self.walk(0x8000_0000).fault)

    def test_concatenated_root(self):
        vtcr = 0x8000_0000 | 24 | 1 << 6 | 5 << 16  # 40 bits from level 1: two tables
        found = walks.stage2_walk(0x4000_0000, vtcr, 0x80_0000_0000, Memory({0x4000_1000: 0x8000_07FD}))
        self.assertEqual(found.output, 0x8000_0000)
        self.assertEqual(found.steps[0].what, "block")

    def test_illegal_register(self):
        with self.assertRaises(ValueError):
            walks.stage2_regime(0, 3 << 14)


class Stage1(unittest.TestCase):
    def registers(self, **changes):
        values = {"sctlr": 1, "tcr": TCR_48, "ttbr0": 0x1000, "ttbr1": 0x2001, "mair": 0x04FF} | changes
        return walks.Stage1(**values)

    def test_off(self):
        self.assertEqual(walks.stage1_walk(self.registers(sctlr=0), 0x1234, Memory({})).output, 0x1234)

    def test_upper_and_lower_half(self):
        memory = Memory({0x1000: 0x3003, 0x3000: 0x8000_0401,
                         0x2FF8: 0x4003, 0x4FF8: 0x5003, 0x5FF8: 0x6003, 0x6FF8: 0x0060_0000_9000_0487})
        low = walks.stage1_walk(self.registers(), 0x123, memory)
        self.assertEqual((low.output, low.region_bytes), (0x8000_0123, 1 << 30))
        high = walks.stage1_walk(self.registers(), 0xFFFF_FFFF_FFFF_F010, memory)
        self.assertEqual(high.output, 0x9000_0010)
        self.assertEqual([s.level for s in high.steps], [0, 1, 2, 3])
        self.assertIn("device-nGnRE EL1 r-- EL0 ---", high.attributes)

    def test_between_the_halves(self):
        found = walks.stage1_walk(self.registers(), 0x00FF_0000_0000_0000, Memory({}))
        self.assertIn("beyond the 48 bits", found.fault)

    def test_top_byte_ignored(self):
        memory = Memory({0x1000: 0x3003, 0x3000: 0x8000_0401})
        found = walks.stage1_walk(self.registers(tcr=TCR_48 | 1 << 37), 0xAB00_0000_0000_0123, memory)
        self.assertEqual(found.output, 0x8000_0123)

    def test_walks_turned_off(self):
        self.assertIn("turns walks through TTBR0_EL1 off",
                      walks.stage1_walk(self.registers(tcr=TCR_48 | 1 << 7), 0, Memory({})).fault)

    def test_granules(self):
        for page_shift, tg0, levels in ((14, 2, 4), (16, 1, 3)):
            regime = self.registers(tcr=TCR_48 & ~0xC000 | tg0 << 14).regime(False)
            self.assertEqual((regime.page_shift, 4 - regime.start_level), (page_shift, levels))


class Frames(unittest.TestCase):
    def follow(self, memory, **registers):
        read = Memory(memory)
        return [a for a, _ in walks.frames(read=lambda at: read(at)[0], leaf=False, lr=0, **registers)]

    def test_chain_with_signed_addresses(self):
        memory = {0x100: 0x200, 0x108: 0x3F00_0000_4008_0010, 0x200: 0, 0x208: 0x4008_0020}
        self.assertEqual(self.follow(memory, pc=0x4008_0000, fp=0x100), [0x4008_0000, 0x4008_0010, 0x4008_0020])

    def test_upper_half(self):
        self.assertEqual(walks.strip_pac(0x12B4_8000_0801_2345), 0xFFFF_8000_0801_2345)
        self.assertEqual(walks.strip_pac(0x0034_0000_0801_2345), 0x0000_0000_0801_2345)

    def test_loop_ends(self):
        self.assertIn("does not lead upward", self.follow({0x100: 0x100, 0x108: 8}, pc=4, fp=0x100)[-1])

    def test_unreadable_ends(self):
        self.assertIn("cannot be read", self.follow({}, pc=4, fp=0x100)[-1])

    def test_unaligned_ends(self):
        self.assertIn("not aligned", self.follow({}, pc=4, fp=0x101)[-1])


class Tables(unittest.TestCase):
    def test_syndromes(self):
        self.assertEqual(tables.esr_brief(0x5E00_0000), "EC 0x17 SMC in AArch64 state, immediate 0x0")
        self.assertIn("write of 4 bytes, w3: translation fault, level 1", tables.esr_brief(0x9383_0045))
        self.assertIn("msr ICC_SGI1R_EL1, x0", tables.esr_brief(0x6000_0000 | 3 << 20 | 12 << 10 | 11 << 1 | 5 << 17))

        self.assertEqual(tables.iss_brief(0x07E0_0001), "WFE")

    def test_calls(self):
        self.assertEqual(tables.call_name(0xC400_0003), "CPU_ON (0xc4000003)")
        self.assertEqual(tables.call_name(0x8000_0001), "SMCCC_ARCH_FEATURES (0x80000001)")
        self.assertIn("Vendor Specific Hypervisor", tables.call_name(0xC600_0001))

    def test_every_table_is_read(self):
        self.assertEqual(tables.exit_meanings()["SystemDown"], "PSCI SYSTEM_OFF")
        self.assertIn("unsupported_ipa_size", tables.error_texts())
        self.assertGreater(len(tables.system_registers()), 300)
        for name in ("HCR_EL2", "SPSR_EL2", "TCR_EL1", "ICH_LR<n>_EL2"):
            self.assertTrue(tables.has_fields(name), name)

    def test_fields(self):
        self.assertEqual(tables.brief("HCR_EL2", 0x8000_0001), "RW=0x1 (AArch64 at EL1) VM")

    def test_spsr(self):
        self.assertEqual(tables.spsr_brief(0x6000_03C5), "EL1h DAIF -ZC-")
        self.assertEqual(tables.mode_name(0x10), "AArch32")


class ElfFile(unittest.TestCase):
    def test_symbols(self):
        names = b"\0f\0label\0$x\0"
        symbols = b"".join(struct.pack("<IBBHQQ", *s) for s in (
            (0, 0, 0, 0, 0, 0), (1, 2, 0, 1, 0x1000, 0x10), (9, 0, 0, 1, 0x1000, 0), (3, 0, 0, 1, 0x1020, 0)))
        at = 64
        sections = [(0,) * 10, (0, 2, 0, 0, at, len(symbols), 2, 0, 8, 24),
                    (0, 3, 0, 0, at + len(symbols), len(names), 0, 0, 1, 0)]
        head = b"\x7fELF\x02\x01" + bytes(10) + struct.pack("<HHIQQQIHHHHHH", 2, 183, 1, 0x1000, 0, at + len(symbols) +
                                                          len(names), 0, 64, 0, 0, 64, len(sections), 0)
        with tempfile.NamedTemporaryFile() as file:
            file.write(head + symbols + names + b"".join(struct.pack("<IIQQQQIIQQ", *s) for s in sections))
            file.flush()
            made = elf.Elf(file.name)
            self.assertEqual(made.find(0x100C), ("f", 0xC))
            self.assertIsNone(made.find(0x1010))
            self.assertEqual(made.find(0x1024), ("label", 4))
            self.assertIsNone(made.find(0xFFF))
            self.assertEqual(made.address("label"), 0x1020)


if __name__ == "__main__":
    unittest.main()
