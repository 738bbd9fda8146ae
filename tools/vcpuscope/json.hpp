// SPDX-License-Identifier: Apache-2.0
// JSON values. Compiling nlohmann's class is most of the time of a source that writes JSON: json.cpp does it for all.
#pragma once

#include <nlohmann/json.hpp>

extern template class nlohmann::basic_json<>;
extern template class nlohmann::basic_json<nlohmann::ordered_map>;
extern template class nlohmann::detail::serializer<nlohmann::json>;
extern template class nlohmann::detail::serializer<nlohmann::ordered_json>;
