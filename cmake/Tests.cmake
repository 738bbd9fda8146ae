# SPDX-License-Identifier: Apache-2.0
# Unit tests. Their sources are most of a build: each includes GoogleTest, and the code its macros expand to takes longer to
# optimise than to run. So tests (not the library that they test) are compiled with -O0 and short debug information, and
# GoogleTest's headers once.

# A compiler cache cannot look into a precompiled header: with one, each test would be compiled where it could be found.
set(pch ON)
if(CMAKE_CXX_COMPILER_LAUNCHER MATCHES "ccache")
  set(pch OFF)
endif()
option(ARM_VCPU_TEST_PCH "Precompile GoogleTest's headers" ${pch})
unset(pch)

# One for all tests: what is in it must not depend on the target.
function(arm_vcpu_test_pch)
  if(TARGET arm_vcpu_test_pch)
    return()
  endif()
  file(CONFIGURE OUTPUT ${PROJECT_BINARY_DIR}/test_pch.cpp CONTENT "// Its precompiled header is what this is for.\n")
  add_library(arm_vcpu_test_pch OBJECT ${PROJECT_BINARY_DIR}/test_pch.cpp)
  target_compile_features(arm_vcpu_test_pch PUBLIC cxx_std_23)
  target_compile_options(arm_vcpu_test_pch PRIVATE -O0 -g1)
  target_link_libraries(arm_vcpu_test_pch PRIVATE GTest::gmock arm_vcpu_warnings)
  target_precompile_headers(arm_vcpu_test_pch PRIVATE
    <gmock/gmock.h> <gtest/gtest.h> <algorithm> <array> <bit> <cstdint> <cstring> <expected> <map> <optional> <random>
    <span> <string> <string_view> <vector>)
endfunction()

# arm_vcpu_test(NAME SOURCE... [LINK LIBRARY...] [OPTIMIZED]): a GoogleTest program of the host build, each of its tests a
# CTest test. OPTIMIZED: for tests that walk a whole encoding space.
function(arm_vcpu_test name)
  if(ARM_VCPU_EL2 OR NOT ARM_VCPU_BUILD_TESTS)
    return()
  endif()
  cmake_parse_arguments(ARG "OPTIMIZED" "" "LINK" ${ARGN})
  find_package(GTest REQUIRED)
  include(GoogleTest)
  add_executable(${name} ${ARG_UNPARSED_ARGUMENTS})
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR}/lib)
  target_link_libraries(${name} PRIVATE arm_vcpu ${ARG_LINK} GTest::gmock GTest::gtest_main arm_vcpu_warnings)
  if(ARG_OPTIMIZED)
    target_compile_options(${name} PRIVATE -O2 -g1)
  else()
    target_compile_options(${name} PRIVATE -O0 -g1)
    if(ARM_VCPU_TEST_PCH)
      arm_vcpu_test_pch()
      target_precompile_headers(${name} REUSE_FROM arm_vcpu_test_pch)
    endif()
  endif()
  if(ARM_VCPU_COVERAGE AND CMAKE_CURRENT_SOURCE_DIR MATCHES "/lib/(arch|vcpu|vm)(/|$)")
    if(NOT TARGET coverage_tests)
      add_custom_target(coverage_tests)
    endif()
    add_dependencies(coverage_tests ${name})
  endif()
  gtest_discover_tests(${name} TEST_PREFIX "${name}." PROPERTIES LABELS unit TIMEOUT 120)
endfunction()
