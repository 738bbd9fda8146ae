// SPDX-License-Identifier: Apache-2.0
// Maps for keys that repeat a lot, as PCs and addresses of exits do.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

namespace arm_vcpu::scope {

constexpr std::size_t mix(std::uint64_t key) noexcept {
  return static_cast<std::size_t>((key * 0x9E37'79B9'7F4A'7C15) >> 32);
}

// Forgets: a slot holds the last value made for one of its keys.
template <class Value, std::size_t Slots = 1024>
class DirectCache {
 public:
  // The value of `key`; make(value) fills a recycled one when the cache does not have it.
  template <class Make>
  Value& get(std::uint64_t key, Make&& make) {
    Slot& slot = (*slots_)[mix(key) % Slots];
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
  std::unique_ptr<std::array<Slot, Slots>> slots_ = std::make_unique<std::array<Slot, Slots>>();
};

// Keeps all. Open addressing; values stay where they are.
template <class Value>
class FlatMap {
 public:
  Value& operator[](std::uint64_t key) {
    for (std::size_t at = mix(key);; ++at) {
      Slot& slot = slots_[at & (slots_.size() - 1)];
      if (slot.number == 0) return add(key);
      if (slot.key == key) return value(slot.number - 1);
    }
  }
  // Asks the memory for what operator[] will want: first the slot of a key, later its value.
  void prefetch_slot(std::uint64_t key) const noexcept { __builtin_prefetch(&slots_[mix(key) & (slots_.size() - 1)]); }
  void prefetch_value(std::uint64_t key) const noexcept {
    if (const Value* value = if_near(key)) {
      const auto* line = reinterpret_cast<const char*>(value);
      for (std::size_t at = 0; at < sizeof(Value); at += 64) __builtin_prefetch(line + at, 1);
    }
  }
  // The value, if the first slot that may hold its key does; a hint, for prefetching what the value points to.
  [[nodiscard]] const Value* if_near(std::uint64_t key) const noexcept {
    const Slot& slot = slots_[mix(key) & (slots_.size() - 1)];
    if (slot.key != key || slot.number == 0) return nullptr;
    return &(*blocks_[(slot.number - 1) / kBlock])[(slot.number - 1) % kBlock];
  }

  [[nodiscard]] std::size_t size() const noexcept { return size_; }

  // Calls visit(key, value) for all, in no order.
  template <class Visit>
  void for_each(Visit&& visit) const {
    for (const Slot& slot : slots_) {
      if (slot.number != 0) visit(slot.key, (*blocks_[(slot.number - 1) / kBlock])[(slot.number - 1) % kBlock]);
    }
  }

 private:
  struct Slot {
    std::uint64_t key{};
    std::uint64_t number{};  // of the value, from 1; 0: free
  };
  static constexpr std::size_t kBlock = 256;

  Value& value(std::uint64_t number) noexcept { return (*blocks_[number / kBlock])[number % kBlock]; }

  Value& add(std::uint64_t key) {
    if ((size_ + 1) * 2 > slots_.size()) {
      std::vector<Slot> old(slots_.size() * 2);
      old.swap(slots_);
      for (const Slot& slot : old) {
        if (slot.number != 0) place(slot);
      }
    }
    if (size_ % kBlock == 0) blocks_.push_back(std::make_unique<std::array<Value, kBlock>>());
    place({key, ++size_});
    return value(size_ - 1);
  }
  void place(const Slot& slot) noexcept {
    std::size_t at = mix(slot.key);
    while (slots_[at & (slots_.size() - 1)].number != 0) ++at;
    slots_[at & (slots_.size() - 1)] = slot;
  }

  std::vector<Slot> slots_ = std::vector<Slot>(1024);
  std::vector<std::unique_ptr<std::array<Value, kBlock>>> blocks_;
  std::size_t size_{};
};

}  // namespace arm_vcpu::scope
