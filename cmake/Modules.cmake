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

# arm_vcpu_for_size(TARGET FILE...): in the release builds for EL2 these are compiled for size. They are not in the way of a
# guest that runs: boot, diagnosis, messages.
function(arm_vcpu_for_size target)
  if(ARM_VCPU_EL2)
    set_property(SOURCE ${ARGN} TARGET_DIRECTORY ${target} APPEND PROPERTY COMPILE_OPTIONS $<$<NOT:$<CONFIG:Debug>>:-Os>)
  endif()
endfunction()

# arm_vcpu_image(TARGET NAME FOLDER SCRIPT LINK_OPTION...): the program FOLDER/NAME.elf, linked by SCRIPT, for debuggers, and
# FOLDER/NAME.img, its bytes as they lie in memory, for whoever loads it. FOLDER is in the build's.
function(arm_vcpu_image target name folder script)
  set(image ${PROJECT_BINARY_DIR}/${folder}/${name}.img)
  set_target_properties(${target} PROPERTIES
    OUTPUT_NAME ${name} SUFFIX .elf RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/${folder} LINK_DEPENDS ${script})
  target_link_options(${target} PRIVATE ${ARGN} -T ${script} -Wl,-z,norelro -Wl,-z,max-page-size=4096)
  add_custom_command(TARGET ${target} POST_BUILD
    COMMAND ${CMAKE_OBJCOPY} -O binary $<TARGET_FILE:${target}> ${image} BYPRODUCTS ${image} VERBATIM)
endfunction()
