// SPDX-License-Identifier: Apache-2.0
// Both CPUs write anything to the Distributor and to the CPU interface, end what they never took, and take what they do
// not end. Under the hypervisor only: QEMU 7.2 ends itself when its own Distributor is treated so (an SGI without a
// sender).
#include "gicv2.hpp"
#include "guest/check.hpp"

namespace gicv2 {
namespace {

constexpr u32 kOperations = 6000;
constexpr u64 kApr = kGicc + 0xD0;
constexpr u32 kFiles[] = {0x000, 0x080, 0x100, 0x180, 0x200, 0x280, 0x300, 0x380, 0x400,
                          0x410, 0x800, 0x820, 0xC00, 0xF00, 0xF00, 0xF10, 0xF20};

class Random {
 public:
  explicit Random(u64 seed) noexcept : state_{seed} {}
  u64 next() noexcept {  // xorshift
    state_ ^= state_ << 13;
    state_ ^= state_ >> 7;
    state_ ^= state_ << 17;
    return state_;
  }
  u32 below(u32 end) noexcept { return static_cast<u32>(next() >> 32) % end; }

 private:
  u64 state_;
};

void access(Random& random, u64 address, u32 width, bool write) noexcept {
  const u64 value = random.below(3) == 0 ? ~u64{0} >> random.below(64) : random.next();
  switch (width) {
    case 0: write ? write8(address, static_cast<u32>(value)) : static_cast<void>(read8(address)); return;
    case 1:
      write ? write16(address & ~u64{1}, static_cast<u32>(value)) : static_cast<void>(read16(address & ~u64{1}));
      return;
    case 2:
      write ? write32(address & ~u64{3}, static_cast<u32>(value)) : static_cast<void>(read32(address & ~u64{3}));
      return;
    default: write ? write64(address & ~u64{7}, value) : static_cast<void>(read64(address & ~u64{7})); return;
  }
}

void abuse(u64 seed) noexcept {
  Random random{seed};
  for (u32 n = 0; n < kOperations; ++n) {
    switch (random.below(10)) {
      case 0: access(random, kGicd + random.below(0x1000), random.below(4), random.below(2) != 0); break;
      case 1: access(random, kGicc + random.below(0x100), 2, random.below(2) != 0); break;
      case 2: access(random, kDir + random.below(0x1000), random.below(4), random.below(2) != 0); break;
      case 3: write32(kEoir, random.below(4) == 0 ? static_cast<u32>(random.next()) : random.below(200)); break;
      case 4: write32(kDir, random.below(0x2000)); break;
      case 5: (void)read32(kIar); break;
      case 6:
        GUEST_WRITE(cntv_tval_el0, random.below(2000));
        GUEST_WRITE(cntv_ctl_el0, random.below(4));
        isb();
        break;
      default:
        access(random, kGicd + kFiles[random.below(sizeof kFiles / sizeof kFiles[0])] + random.below(0x20),
               random.below(3) == 0 ? 0 : 2, random.below(4) != 0);
        break;
    }
  }
  GUEST_WRITE(cntv_ctl_el0, 0);
  isb();
}

void abuse_there() noexcept {
  abuse(0x9E37'79B9'7F4A'7C15);
}

// As after a reset, as far as a guest can do that.
void come_to_order() noexcept {
  write32(kIcfgr + 4, 0);
  write32(kApr, 0);
  init_cpu();
}

}  // namespace

void test_abuse(unsigned cpus) noexcept {
  if (cpus > 1) give_helper(abuse_there);
  abuse(0x2545'F491'4F6C'DD1D);
  if (cpus > 1) check_true("abuse.helper", wait_until([] { return helper_is_done(); }, 20'000));
  init_distributor();
  come_to_order();
  if (cpus > 1) check_true("abuse.helper.order", on_helper(come_to_order));
  check("abuse.idle", read32(kRpr) & 0xF8, 0xF8);
  check("abuse.nothing_left", take() & 0x3FF, kSpurious);
}

}  // namespace gicv2
