// SPDX-License-Identifier: Apache-2.0
#include "perfetto_writer.hpp"

#include <fcntl.h>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl.h>

#include <cerrno>

#include "failure.hpp"

namespace arm_vcpu::scope {

using perfetto::protos::TracePacket;
using perfetto::protos::TrackDescriptor;
using perfetto::protos::TrackEvent;

PerfettoWriter::PerfettoWriter(const std::string& path) : path_{path} {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (fd < 0) throw system_failure(path, errno);
  file_ = std::make_unique<google::protobuf::io::FileOutputStream>(fd, 1 << 20);
  out_ = std::make_unique<google::protobuf::io::CodedOutputStream>(file_.get());
}

PerfettoWriter::~PerfettoWriter() = default;

void PerfettoWriter::begin_packet() {
  packet_.Clear();
  packet_.set_trusted_packet_sequence_id(1);
  packet_.set_sequence_flags(first_ ? TracePacket::SEQ_INCREMENTAL_STATE_CLEARED
                                    : TracePacket::SEQ_NEEDS_INCREMENTAL_STATE);
  first_ = false;
}

void PerfettoWriter::process_track(std::uint64_t track, std::int32_t pid, const std::string& name) {
  begin_packet();
  TrackDescriptor& descriptor = *packet_.mutable_track_descriptor();
  descriptor.set_uuid(track);
  descriptor.mutable_process()->set_pid(pid);
  descriptor.mutable_process()->set_process_name(name);
  write();
}

void PerfettoWriter::thread_track(std::uint64_t track, std::uint64_t parent, std::int32_t pid, std::int32_t tid,
                                  const std::string& name) {
  begin_packet();
  TrackDescriptor& descriptor = *packet_.mutable_track_descriptor();
  descriptor.set_uuid(track);
  descriptor.set_parent_uuid(parent);
  descriptor.mutable_thread()->set_pid(pid);
  descriptor.mutable_thread()->set_tid(tid);
  descriptor.mutable_thread()->set_thread_name(name);
  write();
}

void PerfettoWriter::track(std::uint64_t track, std::uint64_t parent, const std::string& name) {
  begin_packet();
  TrackDescriptor& descriptor = *packet_.mutable_track_descriptor();
  descriptor.set_uuid(track);
  if (parent != 0) descriptor.set_parent_uuid(parent);
  descriptor.set_name(name);
  write();
}

void PerfettoWriter::event(TrackEvent::Type type, std::uint64_t track, std::uint64_t ns) {
  begin_packet();
  packet_.set_timestamp(ns);
  packet_.mutable_track_event()->set_type(type);
  packet_.mutable_track_event()->set_track_uuid(track);
}

template <class Add>
std::uint64_t PerfettoWriter::intern(Interned& table, std::string_view text, Add add) {
  if (const auto found = table.find(text); found != table.end()) return found->second;
  const std::uint64_t iid = table.size() + 1;
  table.emplace(text, iid);
  auto* entry = add();
  entry->set_iid(iid);
  entry->set_name(std::string{text});
  return iid;
}

void PerfettoWriter::name(std::string_view name, std::string_view category) {
  TrackEvent& event = *packet_.mutable_track_event();
  event.set_name_iid(intern(names_, name, [&] { return packet_.mutable_interned_data()->add_event_names(); }));
  event.add_category_iids(
      intern(categories_, category, [&] { return packet_.mutable_interned_data()->add_event_categories(); }));
}

perfetto::protos::DebugAnnotation& PerfettoWriter::annotation(std::string_view name) {
  const std::uint64_t iid =
      intern(arguments_, name, [&] { return packet_.mutable_interned_data()->add_debug_annotation_names(); });
  auto& added = *packet_.mutable_track_event()->add_debug_annotations();
  added.set_name_iid(iid);
  return added;
}

void PerfettoWriter::argument(std::string_view name, std::string_view value) {
  annotation(name).set_string_value(value.data(), value.size());
}
void PerfettoWriter::number(std::string_view name, std::uint64_t value) {
  annotation(name).set_uint_value(value);
}
void PerfettoWriter::address(std::string_view name, std::uint64_t value) {
  annotation(name).set_pointer_value(value);
}

void PerfettoWriter::write() {
  // One element of Trace.packet: the file is a Trace, whose packets are never in memory all together.
  constexpr std::uint32_t kTag = 1 << 3 | 2;
  out_->WriteTag(kTag);
  out_->WriteVarint32(static_cast<std::uint32_t>(packet_.ByteSizeLong()));
  packet_.SerializeWithCachedSizes(out_.get());
}

void PerfettoWriter::close() {
  const bool failed = out_->HadError();
  out_.reset();
  if (!file_->Close() || failed) throw system_failure(path_ + ": cannot write", file_->GetErrno());
}

}  // namespace arm_vcpu::scope
