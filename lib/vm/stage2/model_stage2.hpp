// SPDX-License-Identifier: Apache-2.0
// What stage 2 should translate, by a model that knows nothing of tables.
#pragma once

#include <map>
#include <optional>
#include <vector>

#include "fake_stage2.hpp"

namespace arm_vcpu::stage2::test {

// Disjoint ranges by their first address.
class Model {
 public:
  [[nodiscard]] std::optional<std::uint64_t> first_mapped(std::uint64_t begin, std::uint64_t end) {
    const auto at = ranges_.upper_bound(begin);
    if (at != ranges_.begin() && end_of(*std::prev(at)) > begin) return begin;
    return at != ranges_.end() && at->first < end ? std::optional{at->first} : std::nullopt;
  }
  [[nodiscard]] std::optional<std::uint64_t> first_hole(std::uint64_t begin, std::uint64_t end) {
    while (begin < end) {
      const auto next = ranges_.upper_bound(begin);
      if (next == ranges_.begin() || end_of(*std::prev(next)) <= begin) return begin;
      begin = end_of(*std::prev(next));
    }
    return std::nullopt;
  }
  void map(const Extent& extent) { ranges_[extent.ipa] = extent; }
  void unmap(std::uint64_t begin, std::uint64_t end) {
    cut(begin), cut(end);
    ranges_.erase(ranges_.lower_bound(begin), ranges_.lower_bound(end));
  }
  void protect(std::uint64_t begin, std::uint64_t end, const Attributes& attributes) {
    cut(begin), cut(end);
    for (auto at = ranges_.lower_bound(begin); at != ranges_.lower_bound(end); ++at) at->second.attributes = attributes;
  }
  [[nodiscard]] std::vector<Extent> extents() const {
    std::vector<Extent> list;
    for (const auto& [ipa, extent] : ranges_) append_merged(list, extent);
    return list;
  }

 private:
  static std::uint64_t end_of(const std::pair<const std::uint64_t, Extent>& entry) {
    return entry.first + entry.second.size;
  }
  void cut(std::uint64_t ipa) {
    const auto next = ranges_.lower_bound(ipa);
    if (next == ranges_.begin() || end_of(*std::prev(next)) <= ipa) return;
    Extent& before = std::prev(next)->second;
    const Extent whole = before;
    before.size = ipa - whole.ipa;
    ranges_[ipa] = {ipa, whole.ipa + whole.size - ipa, whole.pa + (ipa - whole.ipa), whole.attributes};
  }

  std::map<std::uint64_t, Extent> ranges_;
};

}  // namespace arm_vcpu::stage2::test
