// SPDX-License-Identifier: Apache-2.0
// Exceptions without end. Those that stage 2 causes exit each time; those of stage 1 alone never do.
#include "faults.hpp"

namespace faults {
namespace {

using namespace guest;

void take_exception() noexcept {
  asm volatile("svc #0" : : : "memory");
}

void vectors_outside_ram() noexcept {
  set_vectors(kCodeHole);
  take_exception();
}
void vectors_unmapped() noexcept {
  set_vectors(kUnmapped);
  take_exception();
}
void handler_faults() noexcept {
  set_vectors(faulting_vectors);
  take_exception();
}
// Returns to the access, which faults again at stage 1.
void returns_to_fault() noexcept {
  set_vectors(returning_vectors);
  (void)read64(kUnmapped);
}
// The same of a device that is not there: each round is an exit.
void returns_to_hole() noexcept {
  set_vectors(returning_vectors);
  (void)read32(kHole);
}
void returns_to_undefined() noexcept {
  set_vectors(returning_vectors);
  (void)GUEST_READ(S3_0_C10_C4_3);  // LORC_EL1: limited ordering regions are hidden
}
// A push onto a stack that is not there, in the vector.
void bad_stack() noexcept {
  asm volatile("mov sp, %0\n\tsvc #0" : : "r"(kUnmapped + 0x1'0000) : "memory");
}

constexpr Fault kFaults[] = {
    {"vectors-outside-ram", vectors_outside_ram},
    {"vectors-unmapped", vectors_unmapped},
    {"handler-faults", handler_faults},
    {"returns-to-fault", returns_to_fault},
    {"returns-to-hole", returns_to_hole},
    {"returns-to-undefined", returns_to_undefined},
    {"bad-stack", bad_stack},
};

}  // namespace

std::span<const Fault> loop_faults() noexcept {
  return kFaults;
}

}  // namespace faults
