// SPDX-License-Identifier: Apache-2.0
// What this plugin uses of QEMU's plugin interface, version 1. Debian ships QEMU with plugins and without their header.
// [qemu] "QEMU TCG Plugins"
#pragma once

#include <cstddef>
#include <cstdint>

extern "C" {

struct qemu_plugin_tb;
struct qemu_plugin_insn;
using qemu_plugin_id_t = std::uint64_t;

// What QEMU tells a plugin about itself; only asked for the interface's version.
struct qemu_info_t {
  const char* target_name;
  struct {
    int min;
    int cur;
  } version;
};

enum qemu_plugin_cb_flags : int { QEMU_PLUGIN_CB_NO_REGS };
enum qemu_plugin_op : int { QEMU_PLUGIN_INLINE_ADD_U64 };

void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t id, void (*callback)(qemu_plugin_id_t, qemu_plugin_tb*));
void qemu_plugin_register_vcpu_insn_exec_cb(qemu_plugin_insn* insn, void (*callback)(unsigned cpu, void* data),
                                            qemu_plugin_cb_flags flags, void* data);
void qemu_plugin_register_vcpu_insn_exec_inline(qemu_plugin_insn* insn, qemu_plugin_op op, void* counter,
                                                std::uint64_t addend);
void qemu_plugin_register_atexit_cb(qemu_plugin_id_t id, void (*callback)(qemu_plugin_id_t, void*), void* data);
std::size_t qemu_plugin_tb_n_insns(const qemu_plugin_tb* tb);
qemu_plugin_insn* qemu_plugin_tb_get_insn(const qemu_plugin_tb* tb, std::size_t index);
const void* qemu_plugin_insn_data(const qemu_plugin_insn* insn);
std::uint64_t qemu_plugin_insn_vaddr(const qemu_plugin_insn* insn);
char* qemu_plugin_insn_disas(const qemu_plugin_insn* insn);  // the caller frees it

}  // extern "C"
