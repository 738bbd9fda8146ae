# SPDX-License-Identifier: Apache-2.0
# Toolchain of the EL2 build: freestanding A64, no FP/SIMD registers, no unaligned accesses, PAC and BTI, stack protector.
set(CMAKE_SYSTEM_NAME Generic)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_TRY_COMPILE_TARGET_TYPE STATIC_LIBRARY)

set(ARM_VCPU_COMPILER gcc CACHE STRING "gcc or clang")
if(ARM_VCPU_COMPILER STREQUAL clang)
  set(CMAKE_CXX_COMPILER clang++-19)
  set(CMAKE_ASM_COMPILER clang-19)
  set(CMAKE_CXX_COMPILER_TARGET aarch64-linux-gnu)
  set(CMAKE_ASM_COMPILER_TARGET aarch64-linux-gnu)
else()
  set(CMAKE_CXX_COMPILER aarch64-linux-gnu-g++)
  set(CMAKE_ASM_COMPILER aarch64-linux-gnu-gcc)
endif()
set(CMAKE_OBJCOPY aarch64-linux-gnu-objcopy)

string(CONCAT CMAKE_CXX_FLAGS_INIT
  "-ffreestanding -fno-exceptions -fno-rtti -fno-threadsafe-statics -mgeneral-regs-only -mstrict-align "
  "-mno-outline-atomics -mbranch-protection=standard -fstack-protector-strong -fpie -fvisibility=hidden "
  "-ffunction-sections -fdata-sections -fno-omit-frame-pointer -mno-omit-leaf-frame-pointer "
  "-fno-asynchronous-unwind-tables")
set(CMAKE_ASM_FLAGS_INIT "-mbranch-protection=standard")
set(CMAKE_EXE_LINKER_FLAGS_INIT "-nostdlib -Wl,--build-id=sha1 -Wl,--gc-sections -Wl,-z,noexecstack")
