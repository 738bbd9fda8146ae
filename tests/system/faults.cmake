# SPDX-License-Identifier: Apache-2.0
# Each simulated failure is a test (./x fault list), and healthy boots in which nothing may be diagnosed.
execute_process(
  COMMAND ${Python3_EXECUTABLE} -B -c "from faults.table import FAULTS; print(*(f.name for f in FAULTS), sep=chr(59), end=str())"
  WORKING_DIRECTORY ${PROJECT_SOURCE_DIR}/scripts OUTPUT_VARIABLE faults COMMAND_ERROR_IS_FATAL ANY)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/scripts/faults/table.py)
foreach(fault IN LISTS faults)
  arm_vcpu_system_test(fault.${fault} fault.py TIMEOUT 60 LABELS fault ARGS ${fault})
endforeach()
arm_vcpu_system_test(fault.within_a_second fault_time.py TIMEOUT 90 LABELS fault)
foreach(guest linux.1 linux.4 uboot reset)
  arm_vcpu_system_test(no_false_alarm.${guest} no_false_alarm.py LABELS fault ARGS ${guest})
endforeach()
