# SPDX-License-Identifier: Apache-2.0
# The troubleshooting guide says what the commands print: docs/en, docs/zh.
add_test(NAME docs.guide COMMAND ${PROJECT_SOURCE_DIR}/x guide --check)
set_tests_properties(docs.guide PROPERTIES LABELS "system;docs" TIMEOUT 400 ENVIRONMENT ARM_VCPU_SKIP_SETUP=1)
