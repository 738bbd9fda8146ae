# SPDX-License-Identifier: Apache-2.0
# `cmake --install build/<preset> --prefix DIR`: the library, its headers and a package, so that another project says
# find_package(arm_vcpu) and links arm_vcpu::arm_vcpu. The layers are object libraries inside the one archive; they do not
# appear in the package. The EL2 build installs its toolchain file too: code that links the library needs the same ABI.
include(CMakePackageConfigHelpers)

set(ARM_VCPU_INSTALL_CMAKEDIR "${CMAKE_INSTALL_LIBDIR}/cmake/arm_vcpu")

install(TARGETS arm_vcpu EXPORT arm_vcpu-targets ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(DIRECTORY "${PROJECT_SOURCE_DIR}/include/arm_vcpu" DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}
  FILES_MATCHING PATTERN "*.hpp" PATTERN "*.def" PATTERN "*.h")
install(EXPORT arm_vcpu-targets NAMESPACE arm_vcpu:: DESTINATION ${ARM_VCPU_INSTALL_CMAKEDIR})

configure_package_config_file("${PROJECT_SOURCE_DIR}/cmake/arm_vcpu-config.cmake.in"
  "${PROJECT_BINARY_DIR}/arm_vcpu-config.cmake" INSTALL_DESTINATION ${ARM_VCPU_INSTALL_CMAKEDIR})
# Before 1.0 a minor version may change the interface.
write_basic_package_version_file("${PROJECT_BINARY_DIR}/arm_vcpu-config-version.cmake" COMPATIBILITY SameMinorVersion)
install(FILES
  "${PROJECT_BINARY_DIR}/arm_vcpu-config.cmake" "${PROJECT_BINARY_DIR}/arm_vcpu-config-version.cmake"
  DESTINATION ${ARM_VCPU_INSTALL_CMAKEDIR})

if(ARM_VCPU_EL2)
  install(FILES "${PROJECT_SOURCE_DIR}/cmake/aarch64-el2.cmake" DESTINATION ${ARM_VCPU_INSTALL_CMAKEDIR})
endif()
