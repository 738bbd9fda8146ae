// SPDX-License-Identifier: Apache-2.0
#include "arm_vcpu/vm/device_tree_structure.hpp"

#include <gtest/gtest.h>
#include <libfdt.h>

#include <array>
#include <cstring>

#include "arm_vcpu/vm/bundle.hpp"

namespace arm_vcpu {
namespace {

// A root with two properties, and a node with one.
class Tree {
 public:
  Tree() {
    EXPECT_EQ(fdt_create(words_.data(), sizeof words_), 0);
    EXPECT_EQ(fdt_finish_reservemap(words_.data()), 0);
    EXPECT_EQ(fdt_begin_node(words_.data(), ""), 0);
    EXPECT_EQ(fdt_property_u32(words_.data(), "one", 1), 0);
    EXPECT_EQ(fdt_property_string(words_.data(), "two", "text"), 0);
    EXPECT_EQ(fdt_begin_node(words_.data(), "node"), 0);
    EXPECT_EQ(fdt_property_u64(words_.data(), "three", 3), 0);
    EXPECT_EQ(fdt_end_node(words_.data()), 0);
    EXPECT_EQ(fdt_end_node(words_.data()), 0);
    EXPECT_EQ(fdt_finish(words_.data()), 0);
  }
  std::span<std::byte> bytes() { return std::as_writable_bytes(std::span{words_}).first(fdt_totalsize(words_.data())); }
  std::size_t structure() { return fdt_off_dt_struct(words_.data()); }
  void put(std::size_t at, std::uint32_t value) {
    for (unsigned i = 0; i < 4; ++i) bytes()[at + i] = static_cast<std::byte>(value >> (24 - 8 * i));
  }
  // Where the length of the node's property is.
  std::size_t last_length() {
    const int node = fdt_path_offset(words_.data(), "/node");
    return structure() + static_cast<std::size_t>(fdt_first_property_offset(words_.data(), node)) + 4;
  }

 private:
  std::array<std::uint64_t, 64> words_{};
};

TEST(DeviceTreeStructure, AWholeTreeEnds) {
  Tree tree;
  EXPECT_TRUE(structure_ends(tree.bytes()));
  for (std::size_t size = 0; size < tree.bytes().size(); ++size) {
    EXPECT_FALSE(structure_ends(tree.bytes().first(size))) << size;
  }
}

// libfdt would come back to the same property again and again.
TEST(DeviceTreeStructure, ALengthThatLeadsBackIsNone) {
  for (const std::uint32_t back : {0U, 4U, 8U, 12U, 16U, 28U}) {
    Tree tree;
    tree.put(tree.last_length(), std::uint32_t{0} - 12 - back);
    EXPECT_FALSE(structure_ends(tree.bytes())) << back;
    const auto bundle = Bundle::parse(tree.bytes());
    ASSERT_FALSE(bundle);
    EXPECT_EQ(bundle.error().reason, BundleReason::damaged);
  }
}

TEST(DeviceTreeStructure, LengthsAtTheEnd) {
  Tree tree;
  const std::size_t length = tree.last_length();
  const std::size_t rest = tree.structure() + fdt_size_dt_struct(tree.bytes().data()) - (length + 8);
  tree.put(length, static_cast<std::uint32_t>(rest));
  EXPECT_FALSE(structure_ends(tree.bytes())) << "inside, but no tag is left that ends it";
  tree.put(length, static_cast<std::uint32_t>(rest + 1));
  EXPECT_FALSE(structure_ends(tree.bytes()));
  tree.put(length, static_cast<std::uint32_t>(rest - 4));
  EXPECT_TRUE(structure_ends(tree.bytes())) << "the END tag alone is left: nesting is not looked at";
}

TEST(DeviceTreeStructure, UnknownTagsAndOtherHeaders) {
  Tree tree;
  tree.put(tree.structure(), 5);
  EXPECT_FALSE(structure_ends(tree.bytes()));
  constexpr std::size_t kTotal = 4, kBlock = 8, kVersion = 20, kBlockBytes = 36;
  for (const std::size_t field : {kTotal, kBlock, kBlockBytes}) {
    for (const std::uint32_t value : {0x1000U, 0x7FFF'FFFFU, 0xFFFF'FFF8U}) {
      Tree other;
      other.put(field, value);
      EXPECT_FALSE(structure_ends(other.bytes().first(64))) << field << " " << value;
    }
  }
  Tree old;
  old.put(kVersion, 16);
  EXPECT_FALSE(structure_ends(old.bytes()));
}

}  // namespace
}  // namespace arm_vcpu
