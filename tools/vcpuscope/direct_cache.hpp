// SPDX-License-Identifier: Apache-2.0
// Maps for keys that repeat a lot, as PCs and addresses of exits do.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <unordered_map>

namespace arm_vcpu::scope {

constexpr std::size_t mix(std::uint64_t key) noexcept {
  return static_cast<std::size_t>((key * 0x9E37'79B9'7F4A'7C15) >> 32);
}

// Forgets: a slot holds the last value made for one of its keys.
template <class Value, std::size_t kSlots = 1024>
class DirectCache {
 public:
  // The value of `key`; make(value) fills a recycled one when the cache does not have it.
  template <class Make>
  Value& get(std::uint64_t key, Make&& make) {
    Slot& slot = (*slots_)[mix(key) % kSlots];
    if (slot.key != key || !slot.used) {
      make(slot.value);
      slot.key = key;
      slot.used = true;
    }
    return slot.value;
  }

 private:
  struct Slot {
    std::uint64_t key{};
    bool used{};
    Value value{};
  };
  std::unique_ptr<std::array<Slot, kSlots>> slots_ = std::make_unique<std::array<Slot, kSlots>>();
};

// Keeps all, with a direct-mapped front that finds a recent key in a few instructions.
template <class Value>
class FrontedMap {
 public:
  using Map = std::unordered_map<std::uint64_t, Value>;

  Value& operator[](std::uint64_t key) {
    return *front_.get(key, [&](Value*& value) { value = &map_[key]; });  // addresses of a node stay
  }
  [[nodiscard]] const Map& all() const noexcept { return map_; }

 private:
  Map map_;
  DirectCache<Value*, 4096> front_;
};

}  // namespace arm_vcpu::scope
