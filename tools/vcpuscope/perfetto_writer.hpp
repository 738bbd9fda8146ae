// SPDX-License-Identifier: Apache-2.0
// A file that the Perfetto UI opens: packets on one sequence, names interned.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

#include "perfetto_trace.pb.h"

namespace google::protobuf::io {
class CodedOutputStream;
class FileOutputStream;
}  // namespace google::protobuf::io

namespace arm_vcpu::scope {

class PerfettoWriter {
 public:
  using Type = perfetto::protos::TrackEvent;

  explicit PerfettoWriter(const std::string& path);  // throws Failure
  ~PerfettoWriter();

  void process_track(std::uint64_t track, std::int32_t pid, const std::string& name);
  void thread_track(std::uint64_t track, std::uint64_t parent, std::int32_t pid, std::int32_t tid,
                    const std::string& name);
  void track(std::uint64_t track, std::uint64_t parent, const std::string& name);

  // An event begins; add arguments and flows, then write() it.
  void event(perfetto::protos::TrackEvent::Type type, std::uint64_t track, std::uint64_t ns);
  void name(std::string_view name, std::string_view category);
  void argument(std::string_view name, std::string_view value);
  void number(std::string_view name, std::uint64_t value);
  void address(std::string_view name, std::uint64_t value);  // shown in hexadecimal
  void flow(std::uint64_t id) { packet_.mutable_track_event()->add_flow_ids(id); }
  void end_flow(std::uint64_t id) { packet_.mutable_track_event()->add_terminating_flow_ids(id); }
  void write();

  void close();  // throws Failure when something could not be written

 private:
  perfetto::protos::DebugAnnotation& annotation(std::string_view name);
  void begin_packet();

  struct Hash : std::hash<std::string_view> {
    using is_transparent = void;
  };
  using Interned = std::unordered_map<std::string, std::uint64_t, Hash, std::equal_to<>>;
  // The number of `text`; `add` tells the reader when it is new.
  template <class Add>
  static std::uint64_t intern(Interned& table, std::string_view text, Add add);

  std::string path_;
  std::unique_ptr<google::protobuf::io::FileOutputStream> file_;
  std::unique_ptr<google::protobuf::io::CodedOutputStream> out_;
  perfetto::protos::TracePacket packet_;
  Interned names_;
  Interned categories_;
  Interned arguments_;
  bool first_{true};
};

}  // namespace arm_vcpu::scope
