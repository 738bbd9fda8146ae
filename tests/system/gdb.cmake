# SPDX-License-Identifier: Apache-2.0
# ./x gdb and tools/gdb: sessions on the guest that exits, with both builds of the hypervisor.
foreach(build release debug)
  arm_vcpu_system_test(gdb.breakpoints.${build} gdb_breakpoints.py TIMEOUT 150 LABELS gdb ARGS ${build})
  arm_vcpu_system_test(gdb.commands.${build} gdb_commands.py TIMEOUT 330 LABELS gdb ARGS ${build})
endforeach()
arm_vcpu_system_test(gdb.uboot gdb_uboot.py TIMEOUT 200 LABELS gdb)

add_test(NAME gdb.helpers COMMAND ${Python3_EXECUTABLE} -B -m unittest discover -t . -s arm_vcpu_gdb -p "*_test.py"
  WORKING_DIRECTORY ${PROJECT_SOURCE_DIR}/tools/gdb)
set_tests_properties(gdb.helpers PROPERTIES LABELS "scripts;gdb" TIMEOUT 60)
