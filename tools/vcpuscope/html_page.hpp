// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "selection.hpp"
#include "statistics.hpp"

namespace arm_vcpu::scope {

// Writes one page that needs nothing but itself: the charting library, the data and the page's own script are in it.
// `library` is the path of echarts.min.js; empty for the one that the set-up installed. Throws Failure.
void write_html(const std::string& path, const std::string& library, Statistics& statistics,
                const SelectionOptions& selection, const Symbols& symbols);

}  // namespace arm_vcpu::scope
