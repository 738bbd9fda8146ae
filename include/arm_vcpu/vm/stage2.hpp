// SPDX-License-Identifier: Apache-2.0
// Stage-2 translation tables of one VM: what the guest takes for physical memory.
//
// Memory and TLB are seams, so that tests see every intermediate state. The hypervisor's own are el2::TablePool and
// el2::TlbOps of arm_vcpu/el2/stage2_hw.hpp.
#pragma once

#include <concepts>
#include <cstdint>
#include <optional>
#include <utility>

#include "arm_vcpu/result.hpp"
#include "arm_vcpu/vm/stage2_descriptor.hpp"
#include "arm_vcpu/vm/stage2_layout.hpp"
#include "arm_vcpu/vm/stage2_tlb.hpp"
#include "arm_vcpu/vm/stage2_walk.hpp"

namespace arm_vcpu {

// Where tables live. allocate_tables() returns the address, never 0, of `count` zeroed, contiguous 4 KiB tables below
// Layout::pa_limit(); free_table() takes them back one by one, in any order. write() is one 64-bit store that no table
// walk can see half of, and later writes to the same descriptor do not overtake it; order between descriptors comes
// from the barriers of TlbMaintenance. Tables are mapped Inner Shareable Write-Back, as Layout::vtcr() tells the
// walkers.
template <class M>
concept Stage2Memory = requires(M& memory, unsigned count, std::uint64_t alignment, std::uint64_t pa) {
  { memory.allocate_tables(count, alignment) } noexcept -> std::same_as<Result<std::uint64_t>>;
  { memory.free_table(pa) } noexcept;
  { memory.read(pa) } noexcept -> std::same_as<std::uint64_t>;
  { memory.write(pa, std::uint64_t{}) } noexcept;
};

// The caller serializes all calls on one Stage2. The guest may run on other CPUs meanwhile and sees each range either
// before or after the change, with one exception: where break-before-make is due, a range that stays mapped is invalid
// for a moment. A stage-2 translation fault of the guest is therefore to be looked up with translate(), under the same
// lock; if the range is mapped by then, run the guest again.
//
// There is no destructor to rely on: call destroy() when no CPU runs the VM any more.
template <Stage2Memory M, stage2::TlbMaintenance T>
class Stage2 {
 public:
  // An empty address space. `memory` and `tlb` outlive it. Errors: those of allocate_tables(), unaligned_stage2_root.
  [[nodiscard]] static Result<Stage2> create(const stage2::Layout& layout, M& memory, T& tlb,
                                             std::uint16_t vmid) noexcept {
    const Result<std::uint64_t> root = memory.allocate_tables(layout.root_tables, layout.root_alignment());
    if (!root) return std::unexpected(root.error());
    if (!bits::aligned(*root, layout.root_alignment())) {
      for (unsigned i = 0; i < layout.root_tables; ++i) memory.free_table(*root + i * stage2::kPageBytes);
      return fail(Errc::unaligned_stage2_root, *root, layout.root_alignment());
    }
    tlb.dsb_ishst();  // the zeroes are there before VTTBR_EL2 can point to them
    return Stage2{layout, memory, tlb, *root, vmid};
  }

  Stage2(Stage2&& other) noexcept
      : layout_{other.layout_},
        memory_{other.memory_},
        tlb_{other.tlb_},
        root_{std::exchange(other.root_, 0)},
        retired_{other.retired_},
        vmid_{other.vmid_},
        stale_{other.stale_} {}
  Stage2(const Stage2&) = delete;
  Stage2& operator=(const Stage2&) = delete;
  Stage2& operator=(Stage2&&) = delete;

  [[nodiscard]] const stage2::Layout& layout() const noexcept { return layout_; }
  [[nodiscard]] std::uint64_t root() const noexcept { return root_; }
  [[nodiscard]] std::uint16_t vmid() const noexcept { return vmid_; }
  [[nodiscard]] Vttbr vttbr() const noexcept { return layout_.vttbr(root_, vmid_); }
  // After VmidAllocator gave another VMID. Nothing is left in any TLB under the old one: the rollover flushed all.
  void set_vmid(std::uint16_t vmid) noexcept { vmid_ = vmid; }

  // Maps [ipa, ipa + size) to [pa, pa + size) with the largest blocks that the alignment of both permits. Bytes, all
  // multiples of 4 KiB, size not 0. Nothing is mapped on an error: unaligned_address, address_out_of_range,
  // already_mapped (the first such IPA), or that of allocate_tables().
  [[nodiscard]] Result<> map(std::uint64_t ipa, std::uint64_t pa, std::uint64_t size,
                             const stage2::Attributes& attributes) noexcept {
    const Result<Range> range = checked(ipa, size);
    if (!range) return std::unexpected(range.error());
    if (!bits::aligned(pa, stage2::kPageBytes)) return fail(Errc::unaligned_address, pa, stage2::kPageBytes);
    if (pa >= layout_.pa_limit() || size > layout_.pa_limit() - pa) {
      return fail(Errc::address_out_of_range, pa >= layout_.pa_limit() ? pa : pa + size - 1, layout_.pa_limit());
    }
    if (const auto taken = first_leaf(top(), *range)) return fail(Errc::already_mapped, *taken);

    std::uint64_t done = range->begin;
    const Result<> filled = fill(top(), *range, pa, attributes, &done);
    if (!filled && done != range->begin) {
      // The guest may have used what was mapped so far, so this takes the full way out.
      remove(top(), {range->begin, done});
      finish();
    }
    publish();
    return filled;
  }

  // Removes [ipa, ipa + size), all of which must be mapped; blocks that reach out of it are split. Afterwards no CPU
  // can use it, and tables left empty are free. Bytes, multiples of 4 KiB, size not 0. No translation changes on an
  // error: unaligned_address, address_out_of_range, not_mapped (the first such IPA), or that of allocate_tables().
  [[nodiscard]] Result<> unmap(std::uint64_t ipa, std::uint64_t size) noexcept {
    const Result<Range> range = checked_mapped(ipa, size);
    if (!range) return std::unexpected(range.error());
    if (const Result<> split = split_at_both(*range, nullptr); !split) return split;
    remove(top(), *range);
    finish();
    return {};
  }

  // Gives [ipa, ipa + size), all of which must be mapped, other attributes. A change of permissions alone is made in
  // place. A change of type or shareability goes by break-before-make, all of the range at once; the caller cleans and
  // invalidates the data caches where memory ceases to be Write-Back. Errors as for unmap().
  [[nodiscard]] Result<> protect(std::uint64_t ipa, std::uint64_t size, const stage2::Attributes& attributes) noexcept {
    const Result<Range> range = checked_mapped(ipa, size);
    if (!range) return std::unexpected(range.error());
    if (const Result<> split = split_at_both(*range, &attributes); !split) return split;
    const bool broken = change(top(), *range, attributes);
    finish();
    if (broken) {
      make(top(), *range, attributes);
      publish();
    }
    return {};
  }

  // What the hardware makes of `ipa`, with each step of the walk.
  [[nodiscard]] stage2::Walk translate(std::uint64_t ipa) const noexcept {
    return stage2::walk(layout_, root_, ipa,
                        [this](std::uint64_t pa) noexcept { return std::optional{memory_->read(pa)}; });
  }

  // Returns all tables. Precondition: no CPU runs the VM, or will with this vttbr(). Does nothing the second time.
  void destroy() noexcept {
    if (root_ == 0) return;
    remove(top(), {0, layout_.ipa_limit()});
    stale_.add_everything();
    finish();
    for (unsigned i = 0; i < layout_.root_tables; ++i) memory_->free_table(root_ + i * stage2::kPageBytes);
    root_ = 0;
  }

 private:
  using Descriptor = stage2::Descriptor;

  struct Range {
    std::uint64_t begin{};
    std::uint64_t end{};
  };
  struct Table {
    std::uint64_t pa{};
    unsigned level{};
  };
  // One descriptor, and the part of a range that it translates.
  struct Slot {
    std::uint64_t pa{};
    unsigned level{};
    Range part;
    [[nodiscard]] bool whole() const noexcept { return part.end - part.begin == stage2::level_bytes(level); }
  };

  Stage2(const stage2::Layout& layout, M& memory, T& tlb, std::uint64_t root, std::uint16_t vmid) noexcept
      : layout_{layout}, memory_{&memory}, tlb_{&tlb}, root_{root}, vmid_{vmid} {}

  [[nodiscard]] Table top() const noexcept { return {root_, layout_.start_level}; }
  [[nodiscard]] Descriptor read(std::uint64_t pa) const noexcept { return Descriptor::from(memory_->read(pa)); }
  [[nodiscard]] static Table below(Descriptor descriptor, unsigned level) noexcept {
    return {descriptor.table_address(), level + 1};
  }

  // Calls visit(Slot) for the descriptors of `table` that translate `range`, in order, until it returns false.
  template <class F>
  void each_slot(Table table, Range range, F&& visit) const noexcept {
    const std::uint64_t bytes = stage2::level_bytes(table.level);
    for (std::uint64_t at = range.begin; at < range.end;) {
      const std::uint64_t boundary = bits::align_down(at, bytes) + bytes;
      const std::uint64_t next = boundary < range.end ? boundary : range.end;
      const Slot slot{stage2::descriptor_address(layout_, table.pa, table.level, at), table.level, {at, next}};
      if (!visit(slot)) return;
      at = next;
    }
  }

  [[nodiscard]] Result<Range> checked(std::uint64_t ipa, std::uint64_t size) const noexcept {
    if (!bits::aligned(ipa, stage2::kPageBytes)) return fail(Errc::unaligned_address, ipa, stage2::kPageBytes);
    if (size == 0 || !bits::aligned(size, stage2::kPageBytes)) {
      return fail(Errc::unaligned_address, size, stage2::kPageBytes);
    }
    if (ipa >= layout_.ipa_limit() || size > layout_.ipa_limit() - ipa) {
      return fail(Errc::address_out_of_range, ipa >= layout_.ipa_limit() ? ipa : ipa + size - 1, layout_.ipa_limit());
    }
    return Range{ipa, ipa + size};
  }

  [[nodiscard]] Result<Range> checked_mapped(std::uint64_t ipa, std::uint64_t size) const noexcept {
    const Result<Range> range = checked(ipa, size);
    if (!range) return range;
    if (const auto hole = first_hole(top(), *range)) return fail(Errc::not_mapped, *hole);
    return range;
  }

  [[nodiscard]] std::optional<std::uint64_t> first_leaf(Table table, Range range) const noexcept {
    std::optional<std::uint64_t> found;
    each_slot(table, range, [&](const Slot& slot) noexcept {
      const Descriptor descriptor = read(slot.pa);
      if (descriptor.is_table(slot.level)) {
        found = first_leaf(below(descriptor, slot.level), slot.part);
      } else if (descriptor.valid()) {
        found = slot.part.begin;
      }
      return !found;
    });
    return found;
  }

  [[nodiscard]] std::optional<std::uint64_t> first_hole(Table table, Range range) const noexcept {
    std::optional<std::uint64_t> found;
    each_slot(table, range, [&](const Slot& slot) noexcept {
      const Descriptor descriptor = read(slot.pa);
      if (descriptor.is_table(slot.level)) {
        found = first_hole(below(descriptor, slot.level), slot.part);
      } else if (!descriptor.valid()) {
        found = slot.part.begin;
      }
      return !found;
    });
    return found;
  }

  // Writes the leaves of `range`, which holds none. A missing table is filled before its parent links to it, so walkers
  // see a new subtree whole or not at all, and one write is all that a large mapping changes in a live table.
  // `live_end` is null within a table that nobody can reach yet; otherwise it follows what the guest can use.
  [[nodiscard]] Result<> fill(Table table, Range range, std::uint64_t pa, const stage2::Attributes& attributes,
                              std::uint64_t* live_end) noexcept {
    Result<> result;
    each_slot(table, range, [&](const Slot& slot) noexcept {
      const std::uint64_t out = pa + (slot.part.begin - range.begin);
      const Descriptor descriptor = read(slot.pa);
      if (descriptor.is_table(slot.level)) {
        result = fill(below(descriptor, slot.level), slot.part, out, attributes, live_end);
      } else if (slot.level >= stage2::kFirstBlockLevel && slot.whole() &&
                 bits::aligned(out, stage2::level_bytes(slot.level))) {
        memory_->write(slot.pa, stage2::leaf_descriptor(slot.level, out, attributes).raw);
      } else {
        result = link_new(slot, out, attributes, live_end != nullptr);
      }
      if (result && live_end != nullptr) *live_end = slot.part.end;
      return result.has_value();
    });
    return result;
  }

  [[nodiscard]] Result<> link_new(const Slot& slot, std::uint64_t out, const stage2::Attributes& attributes,
                                  bool live) noexcept {
    const Result<std::uint64_t> table = memory_->allocate_tables(1, stage2::kPageBytes);
    if (!table) return std::unexpected(table.error());
    if (const Result<> filled = fill({*table, slot.level + 1}, slot.part, out, attributes, nullptr); !filled) {
      discard({*table, slot.level + 1});
      return filled;
    }
    if (live) tlb_->dsb_ishst();
    memory_->write(slot.pa, stage2::table_descriptor(*table).raw);
    return {};
  }

  // Frees a subtree that no walker has ever seen.
  void discard(Table table) noexcept {
    for (unsigned i = 0; table.level < stage2::kLastLevel && i < stage2::kTableEntries; ++i) {
      if (const Descriptor entry = read(table.pa + 8 * i); entry.is_table(table.level)) {
        discard(below(entry, table.level));
      }
    }
    memory_->free_table(table.pa);
  }

  // Makes both ends of `range` ends of leaves too. Leaves that have `attributes` already may stay as they are.
  [[nodiscard]] Result<> split_at_both(Range range, const stage2::Attributes* attributes) noexcept {
    if (const Result<> split = split_at(range.begin, attributes); !split) return split;
    return split_at(range.end, attributes);
  }

  [[nodiscard]] Result<> split_at(std::uint64_t ipa, const stage2::Attributes* attributes) noexcept {
    if (ipa == layout_.ipa_limit()) return {};
    Table table = top();
    for (;;) {
      const std::uint64_t at = stage2::descriptor_address(layout_, table.pa, table.level, ipa);
      const Descriptor descriptor = read(at);
      if (descriptor.is_table(table.level)) {
        table = below(descriptor, table.level);
        continue;
      }
      if (!descriptor.valid() || bits::aligned(ipa, stage2::level_bytes(table.level))) return {};
      const std::uint64_t pa = descriptor.leaf_address(table.level);
      if (attributes != nullptr && descriptor == stage2::leaf_descriptor(table.level, pa, *attributes)) return {};
      return split(at, descriptor, table.level, ipa);
    }
  }

  // Replaces the block at `at` by tables of the same meaning, down to where `ipa` is the start of a leaf. A block and a
  // table of smaller leaves must not be in a TLB together, hence break-before-make.
  [[nodiscard]] Result<> split(std::uint64_t at, Descriptor block, unsigned level, std::uint64_t ipa) noexcept {
    const Result<std::uint64_t> table = build_split(block, level, ipa);
    if (!table) return std::unexpected(table.error());
    const std::uint64_t begin = bits::align_down(ipa, stage2::level_bytes(level));
    memory_->write(at, 0);
    stale_.add_leaves(begin, begin + stage2::level_bytes(level), level);
    finish();  // its first barrier orders the new tables too
    memory_->write(at, stage2::table_descriptor(*table).raw);
    publish();
    return {};
  }

  [[nodiscard]] Result<std::uint64_t> build_split(Descriptor block, unsigned level, std::uint64_t ipa) noexcept {
    const Result<std::uint64_t> table = memory_->allocate_tables(1, stage2::kPageBytes);
    if (!table) return table;
    const stage2::Attributes attributes = stage2::attributes_of(block);
    const unsigned next = level + 1;
    const std::uint64_t bytes = stage2::level_bytes(next);
    const std::uint64_t cut = (ipa & (stage2::level_bytes(level) - 1)) / bytes;
    for (unsigned i = 0; i < stage2::kTableEntries; ++i) {
      Descriptor entry = stage2::leaf_descriptor(next, block.leaf_address(level) + i * bytes, attributes);
      if (i == cut && !bits::aligned(ipa, bytes)) {
        const Result<std::uint64_t> deeper = build_split(entry, next, ipa);
        if (!deeper) {
          memory_->free_table(*table);
          return deeper;
        }
        entry = stage2::table_descriptor(*deeper);
      }
      memory_->write(*table + 8 * i, entry.raw);
    }
    return table;
  }

  // Makes `range` invalid, unlinks the tables that hold nothing else, and notes what is to be invalidated.
  // Precondition: no leaf reaches out of the range.
  void remove(Table table, Range range) noexcept {
    each_slot(table, range, [&](const Slot& slot) noexcept {
      const Descriptor descriptor = read(slot.pa);
      if (!descriptor.is_table(slot.level)) {
        if (descriptor.valid()) {
          memory_->write(slot.pa, 0);
          stale_.add_leaves(slot.part.begin, slot.part.end, slot.level);
        }
        return true;
      }
      const Table child = below(descriptor, slot.level);
      if (!slot.whole()) remove(child, slot.part);
      if (slot.whole() || is_empty(child)) {
        memory_->write(slot.pa, 0);
        retire(child, slot.part);
      }
      return true;
    });
  }

  [[nodiscard]] bool is_empty(Table table) const noexcept {
    for (unsigned i = 0; i < stage2::kTableEntries; ++i) {
      if (read(table.pa + 8 * i).valid()) return false;
    }
    return true;
  }

  // Puts an unlinked subtree on the list of tables to free once finish() has made walkers forget them. The list runs
  // through the first descriptors: addresses of tables have bit 0 clear, which a walker with a stale pointer takes for
  // an invalid descriptor. `part` is the range that became invalid through it.
  void retire(Table table, Range part) noexcept {
    if (table.level < stage2::kLastLevel) {
      bool has_leaves = false;
      for (unsigned i = 0; i < stage2::kTableEntries; ++i) {
        const Descriptor entry = read(table.pa + 8 * i);
        if (entry.is_table(table.level)) {
          retire(below(entry, table.level), part);
        } else {
          has_leaves = has_leaves || entry.valid();
        }
      }
      if (has_leaves) stale_.add_leaves(part.begin, part.end, table.level);
    } else if (!is_empty(table)) {
      stale_.add_leaves(part.begin, part.end, table.level);
    }
    stale_.add_table();
    memory_->write(table.pa, retired_);
    retired_ = table.pa;
  }

  // Gives each leaf of `range` the new attributes where the architecture allows that in one write, and makes the others
  // invalid; these keep all but the Valid bit, for make() to find. Returns whether there are any.
  [[nodiscard]] bool change(Table table, Range range, const stage2::Attributes& attributes) noexcept {
    bool broken = false;
    each_slot(table, range, [&](const Slot& slot) noexcept {
      const Descriptor before = read(slot.pa);
      if (before.is_table(slot.level)) {
        broken = change(below(before, slot.level), slot.part, attributes) || broken;
        return true;
      }
      const Descriptor after = stage2::leaf_descriptor(slot.level, before.leaf_address(slot.level), attributes);
      if (before == after) return true;
      const bool direct = stage2::may_replace_directly(before, after);
      broken = broken || !direct;
      memory_->write(slot.pa, direct ? after.raw : before.with<Descriptor::Valid>(false).raw);
      stale_.add_leaves(slot.part.begin, slot.part.end, slot.level);
      return true;
    });
    return broken;
  }

  // The second half of break-before-make: writes what change() left invalid.
  void make(Table table, Range range, const stage2::Attributes& attributes) noexcept {
    each_slot(table, range, [&](const Slot& slot) noexcept {
      const Descriptor entry = read(slot.pa);
      if (entry.is_table(slot.level)) {
        make(below(entry, slot.level), slot.part, attributes);
      } else if (!entry.valid()) {
        const std::uint64_t pa = entry.leaf_address(slot.level);
        memory_->write(slot.pa, stage2::leaf_descriptor(slot.level, pa, attributes).raw);
      }
      return true;
    });
  }

  // New descriptors become visible to walkers. Nothing is invalidated: TLBs hold no entry for an invalid descriptor.
  // [armarm] "General TLB maintenance requirements"
  void publish() noexcept {
    tlb_->dsb_ishst();
    tlb_->isb();
  }

  // Invalidates what the batch made stale, then frees the tables it unlinked.
  void finish() noexcept {
    stale_.complete(*tlb_, vttbr().raw);
    while (retired_ != kNoTable) {
      const std::uint64_t table = std::exchange(retired_, memory_->read(retired_));
      memory_->free_table(table);
    }
  }

  static constexpr std::uint64_t kNoTable = 0b10;  // no table's address, and an invalid descriptor

  stage2::Layout layout_;
  M* memory_;
  T* tlb_;
  std::uint64_t root_{};
  std::uint64_t retired_ = kNoTable;
  std::uint16_t vmid_{};
  stage2::Invalidation stale_;
};

}  // namespace arm_vcpu
