# SPDX-License-Identifier: Apache-2.0

# arm_vcpu_layer(NAME [DEPENDS LAYER...]): one layer of the library. A layer sees only the layers it names.
function(arm_vcpu_layer name)
  cmake_parse_arguments(ARG "" "" "DEPENDS" ${ARGN})
  add_library(arm_vcpu_${name} OBJECT)
  target_compile_features(arm_vcpu_${name} PUBLIC cxx_std_23)
  target_include_directories(arm_vcpu_${name} PUBLIC
    $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include> PRIVATE ${PROJECT_SOURCE_DIR}/lib)
  target_link_libraries(arm_vcpu_${name} PRIVATE $<BUILD_INTERFACE:arm_vcpu_warnings>)
  if(ARM_VCPU_COVERAGE)
    target_compile_options(arm_vcpu_${name} PRIVATE --coverage -O0 -fprofile-update=prefer-atomic)
  endif()
  foreach(dependency IN LISTS ARG_DEPENDS)
    target_link_libraries(arm_vcpu_${name} PUBLIC arm_vcpu_${dependency})
  endforeach()
endfunction()
