// SPDX-License-Identifier: Apache-2.0
// A machine for the tests of stage 2: memory that keeps history, and the most hostile TLB the architecture permits.
//
// The TLB may hold any descriptor that a walk could once reach, for as long as nothing has invalidated it in full. So
// each descriptor that stops being valid leaves a `Stale` entry behind, which goes only through the whole sequence:
// barrier, TLBI that covers it under the right VMID, barrier, TLBI of combined entries, barrier. Every event is checked
// against what is stale at that moment; a breach is noted in `violations`.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "arm_vcpu/vm/stage2.hpp"

namespace arm_vcpu::stage2::test {

class FakeMachine {
 public:
  static constexpr std::uint64_t kFirstTable = 0x4000'0000;
  static constexpr std::uint64_t kOtherVttbr = 0x0077'0000'1234'5000;

  // Knobs.
  bool range_ops = false;
  bool level_hint = true;
  unsigned allocations_left = 1'000'000;  // then out_of_table_memory
  bool unwatch_root_on_free = false;      // the VM is over: its empty root may go
  std::function<void()> on_state;         // after every event

  // What happened.
  std::vector<std::string> violations;
  std::vector<std::string> log;  // one word per event, writes left out
  unsigned writes = 0;

  explicit FakeMachine(const Layout& machine_layout) : layout_{machine_layout} {}

  // What VTTBR_EL2 will point to: the root's descriptors count as reachable from here on.
  void watch(std::uint64_t root, std::uint16_t vmid) {
    vmid_ = vmid;
    root_ = root;
    for (unsigned i = 0; i < layout_.root_tables; ++i) {
      if (unordered_.contains(root + i * kPageBytes)) violation("root reachable before its zeroes are ordered");
      reachable_[root + i * kPageBytes] = {i * kTableEntries * level_bytes(layout_.start_level), layout_.start_level};
    }
  }

  [[nodiscard]] std::size_t tables() const { return pages_.size(); }
  [[nodiscard]] std::size_t reachable_tables() const { return reachable_.size(); }
  [[nodiscard]] std::size_t empty_tables() const {
    std::size_t count = 0;
    for (const auto& [pa, place] : reachable_) {
      bool empty = !(pa >= root_ && pa < root_ + layout_.root_bytes());
      for (const std::uint64_t entry : pages_.at(pa)) empty = empty && (entry & 1) == 0;
      count += empty ? 1 : 0;
    }
    return count;
  }
  [[nodiscard]] unsigned count(const std::string& word) const {
    unsigned found = 0;
    for (const auto& entry : log) found += entry == word ? 1U : 0U;
    return found;
  }
  // Between operations nothing may be left to do.
  void check_quiet() {
    if (!stale_.empty()) violation("an operation returned with stale TLB entries");
    for (const auto& [page, place] : reachable_) {
      if (unordered_.contains(page)) violation("an operation returned with descriptors no walker need see");
    }
    if (vttbr_ != kOtherVttbr) violation("VTTBR_EL2 not restored");
  }
  void clear_history() { log.clear(), writes = 0; }

  // Stage2Memory.
  Result<std::uint64_t> allocate_tables(unsigned count, std::uint64_t alignment) noexcept {
    if (allocations_left < count) return fail(Errc::out_of_table_memory, count, allocations_left);
    allocations_left -= count;
    next_ = bits::align_up(next_, alignment);
    const std::uint64_t pa = next_;
    next_ += count * kPageBytes;
    for (unsigned i = 0; i < count; ++i) {
      pages_[pa + i * kPageBytes] = {};
      unordered_.insert(pa + i * kPageBytes);
    }
    return pa;
  }
  void free_table(std::uint64_t pa) noexcept {
    if (!pages_.contains(pa)) return violation("freed what is not a table");
    if (unwatch_root_on_free && pa >= root_ && pa < root_ + layout_.root_bytes()) {
      for (const std::uint64_t entry : pages_[pa]) {
        if ((entry & 1) != 0) violation("freed a root that still maps something");
      }
      reachable_.erase(pa);
    }
    if (reachable_.contains(pa)) violation("freed a table that walks can reach");
    for (const Stale& stale : stale_) {
      if (stale.page == pa || (!stale.leaf && stale.descriptor.table_address() == pa)) {
        violation("freed a table that TLBs still know");
      }
    }
    pages_.erase(pa);
    unordered_.erase(pa);
    ++allocations_left;
    event("free");
  }
  std::uint64_t read(std::uint64_t pa) noexcept {
    const auto page = pages_.find(bits::align_down(pa, kPageBytes));
    if (page == pages_.end() || !bits::aligned(pa, 8)) return violation("read outside the tables"), 0;
    return page->second[(pa % kPageBytes) / 8];
  }
  void write(std::uint64_t pa, std::uint64_t value) noexcept {
    const std::uint64_t page = bits::align_down(pa, kPageBytes);
    if (!pages_.contains(page) || !bits::aligned(pa, 8)) return violation("wrote outside the tables");
    std::uint64_t& entry = pages_[page][(pa % kPageBytes) / 8];
    const Descriptor before = Descriptor::from(entry);
    const Descriptor after = Descriptor::from(value);
    const auto place = reachable_.find(page);
    if (place == reachable_.end()) {
      for (const Stale& stale : stale_) {
        if (!stale.leaf && stale.descriptor.table_address() == page && after.valid()) {
          violation("wrote a valid descriptor to a table that was unlinked but is still known to TLBs");
        }
      }
      entry = value;
    } else {
      const unsigned level = place->second.level;
      const std::uint64_t ipa = place->second.ipa + (pa % kPageBytes) / 8 * level_bytes(level);
      if (before.valid() && before != after) unlink(page, ipa, level, before);
      entry = value;
      if (after.valid() && before != after) link(ipa, level, after);
    }
    unordered_.insert(page);
    ++writes;
    event("");
  }

  // TlbMaintenance.
  void dsb_ishst() noexcept {
    order();
    event("dsb_ishst");
  }
  void dsb_ish() noexcept {
    order();
    std::erase_if(stale_, [](Stale& stale) {
      if (stale.phase == Phase::stage2_issued) stale.phase = Phase::stage2_done;
      return stale.phase == Phase::all_issued;
    });
    event("dsb_ish");
  }
  void isb() noexcept { event("isb"); }
  bool has_range_ops() noexcept { return range_ops; }
  bool has_level_hint() noexcept { return level_hint; }
  void tlbi_ipas2e1is(std::uint64_t raw) noexcept {
    const auto operand = TlbiIpa::from(raw);
    const auto ttl = operand.get<TlbiIpa::TTL>();
    if (ttl != 0 && (!level_hint || ttl >> 2 != 1)) violation("bad TTL");
    const std::uint64_t ipa = operand.get<TlbiIpa::IPA>() << kPageShift;
    invalidate(ipa, ipa + kPageBytes, ttl & 3);
    event("ipas2e1is");
  }
  void tlbi_ripas2e1is(std::uint64_t raw) noexcept {
    const auto operand = TlbiIpaRange::from(raw);
    if (!range_ops) violation("range operation on a CPU without");
    if (operand.get<TlbiIpaRange::TG>() != 1) violation("bad TG");
    const std::uint64_t ipa = operand.get<TlbiIpaRange::BaseADDR>() << kPageShift;
    invalidate(ipa, ipa + (operand.pages() << kPageShift), operand.get<TlbiIpaRange::TTL>());
    event("ripas2e1is");
  }
  void tlbi_vmalle1is() noexcept {
    for (Stale& stale : stale_) {
      if (in_context() && stale.phase == Phase::stage2_done) stale.phase = Phase::all_issued;
    }
    event("vmalle1is");
  }
  void tlbi_vmalls12e1is() noexcept {
    for (Stale& stale : stale_) {
      if (in_context() && stale.phase != Phase::written) stale.phase = Phase::all_issued;
    }
    event("vmalls12e1is");
  }
  std::uint64_t enter(std::uint64_t vttbr) noexcept {
    const std::uint64_t previous = vttbr_;
    vttbr_ = vttbr;
    event("enter");
    return previous;
  }
  void leave(std::uint64_t previous) noexcept {
    vttbr_ = previous;
    event("leave");
  }

 private:
  struct Place {
    std::uint64_t ipa{};
    unsigned level{};
  };
  enum class Phase { written, ordered, stage2_issued, stage2_done, all_issued };
  struct Stale {
    std::uint64_t page{};  // the table that held it
    std::uint64_t ipa{};
    unsigned level{};
    Descriptor descriptor{};
    bool leaf{};
    Phase phase{};
    [[nodiscard]] std::uint64_t end() const { return ipa + level_bytes(level); }
  };

  void violation(const std::string& what) noexcept { violations.push_back(what); }
  void event(const char* word) noexcept {
    if (*word != '\0') log.emplace_back(word);
    if (on_state) on_state();
  }
  [[nodiscard]] bool in_context() noexcept {
    const bool right = Vttbr::from(vttbr_).get<Vttbr::VMID>() == vmid_;
    if (!right) violation("TLBI under another VMID");
    return right;
  }
  void order() noexcept {
    unordered_.clear();
    for (Stale& stale : stale_) {
      if (stale.phase == Phase::written) stale.phase = Phase::ordered;
    }
  }
  // An operation without level hint reaches the walk caches too; one with a hint only leaves of that level.
  void invalidate(std::uint64_t begin, std::uint64_t end, unsigned level) noexcept {
    for (Stale& stale : stale_) {
      const bool covered =
          begin < stale.end() && end > stale.ipa && (level == 0 || (stale.leaf && stale.level == level));
      if (in_context() && covered && stale.phase == Phase::ordered) stale.phase = Phase::stage2_issued;
    }
  }
  void unlink(std::uint64_t page, std::uint64_t ipa, unsigned level, Descriptor before) noexcept {
    stale_.push_back({page, ipa, level, before, !before.is_table(level), Phase::written});
    if (!before.is_table(level)) return;
    const std::uint64_t child = before.table_address();
    reachable_.erase(child);
    for (unsigned i = 0; i < kTableEntries; ++i) {
      const Descriptor entry = Descriptor::from(pages_[child][i]);
      if (entry.valid()) unlink(child, ipa + i * level_bytes(level + 1), level + 1, entry);
    }
  }
  void link(std::uint64_t ipa, unsigned level, Descriptor after) noexcept {
    for (const Stale& stale : stale_) {
      if (stale.ipa >= ipa + level_bytes(level) || stale.end() <= ipa) continue;
      const bool same_leaf = stale.leaf && stale.level == level && after.is_leaf(level);
      if (!same_leaf || !may_replace_directly(stale.descriptor, after)) {
        violation("break-before-make: made valid while TLBs may hold something else");
      }
    }
    if (after.is_table(level)) reach(after.table_address(), ipa, level + 1);
  }
  void reach(std::uint64_t page, std::uint64_t ipa, unsigned level) noexcept {
    if (!pages_.contains(page)) return violation("linked what is not a table");
    if (reachable_.contains(page)) violation("linked a table twice");
    if (unordered_.contains(page)) violation("linked a table before its descriptors are ordered");
    reachable_[page] = {ipa, level};
    for (unsigned i = 0; i < kTableEntries; ++i) {
      const Descriptor entry = Descriptor::from(pages_[page][i]);
      if (entry.is_table(level)) reach(entry.table_address(), ipa + i * level_bytes(level), level + 1);
    }
  }

  Layout layout_;
  std::uint16_t vmid_{};
  std::uint64_t root_{};
  std::uint64_t next_ = kFirstTable;
  std::uint64_t vttbr_ = kOtherVttbr;
  std::map<std::uint64_t, std::array<std::uint64_t, kTableEntries>> pages_;
  std::map<std::uint64_t, Place> reachable_;
  std::set<std::uint64_t> unordered_;  // tables written to since the last barrier
  std::vector<Stale> stale_;
};

static_assert(Stage2Memory<FakeMachine> && TlbMaintenance<FakeMachine>);
using FakeStage2 = Stage2<FakeMachine, FakeMachine>;

// A range of the guest's address space, as large as it is uniform.
struct Extent {
  std::uint64_t ipa{};
  std::uint64_t size{};
  std::uint64_t pa{};
  Attributes attributes;
  friend bool operator==(const Extent&, const Extent&) = default;
};

inline void append_merged(std::vector<Extent>& list, const Extent& extent) {
  if (!list.empty()) {
    Extent& last = list.back();
    if (last.ipa + last.size == extent.ipa && last.pa + last.size == extent.pa &&
        last.attributes == extent.attributes) {
      last.size += extent.size;
      return;
    }
  }
  list.push_back(extent);
}

// All that is mapped, found by walking from one region to the next.
inline std::vector<Extent> extents_of(const FakeStage2& stage2) {
  std::vector<Extent> list;
  for (std::uint64_t ipa = 0; ipa < stage2.layout().ipa_limit();) {
    const Walk walk = stage2.translate(ipa);
    if (walk.translated()) append_merged(list, {ipa, walk.region_bytes, walk.output_address, walk.attributes});
    ipa += walk.region_bytes;
  }
  return list;
}

}  // namespace arm_vcpu::stage2::test
