# SPDX-License-Identifier: Apache-2.0
# Installs BUILD into a fresh prefix, then configures, builds and (host) runs PROJECT with nothing but that prefix.
file(REMOVE_RECURSE "${WORK}")
set(prefix "${WORK}/prefix")

function(run)
  execute_process(COMMAND ${ARGV} COMMAND_ECHO STDOUT COMMAND_ERROR_IS_FATAL ANY)
endfunction()

run("${CMAKE_COMMAND}" --install "${BUILD}" --prefix "${prefix}")

# The package must name neither the source tree nor a layer.
file(GLOB_RECURSE package "${prefix}/*arm_vcpu-*.cmake")
foreach(file IN LISTS package)
  file(READ "${file}" text)
  get_filename_component(source "${PROJECT}/../../.." ABSOLUTE)
  string(FIND "${text}" "${source}" leak)
  if(NOT leak EQUAL -1)
    message(FATAL_ERROR "${file} names the source tree")
  endif()
  if(text MATCHES "arm_vcpu_(arch|vcpu|vm|el2|warnings)[^A-Za-z0-9_]")
    message(FATAL_ERROR "${file} names the internal target ${CMAKE_MATCH_0}")
  endif()
endforeach()

file(GLOB_RECURSE toolchain "${prefix}/*aarch64-el2.cmake")
if(KIND STREQUAL el2)
  set(options "-DCMAKE_TOOLCHAIN_FILE=${toolchain}" "-DEXAMPLE=${EXAMPLE}")
else()
  set(options "-DCMAKE_CXX_COMPILER=${COMPILER}" "-DCMAKE_CXX_FLAGS=${FLAGS}")
endif()
run("${CMAKE_COMMAND}" -S "${PROJECT}" -B "${WORK}/build" -G Ninja "-DCMAKE_PREFIX_PATH=${prefix}" ${options})
run("${CMAKE_COMMAND}" --build "${WORK}/build")
if(KIND STREQUAL host)
  run("${WORK}/build/outside")
else()
  # The other kind of project is told what is wrong.
  file(WRITE "${WORK}/wrong/CMakeLists.txt"
    "cmake_minimum_required(VERSION 3.25)\nproject(wrong LANGUAGES CXX)\nfind_package(arm_vcpu REQUIRED)\n")
  execute_process(COMMAND "${CMAKE_COMMAND}" -S "${WORK}/wrong" -B "${WORK}/wrong/build" -G Ninja
    "-DCMAKE_PREFIX_PATH=${prefix}" "-DCMAKE_CXX_COMPILER=${COMPILER}"
    RESULT_VARIABLE result OUTPUT_QUIET ERROR_VARIABLE complaint)
  string(REGEX REPLACE "[ \n]+" " " complaint "${complaint}")
  if(result EQUAL 0 OR NOT complaint MATCHES "this arm_vcpu is built for Generic")
    message(FATAL_ERROR "a host project took the EL2 library, or was told no reason: ${complaint}")
  endif()
endif()
