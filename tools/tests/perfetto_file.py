# SPDX-License-Identifier: Apache-2.0
"""The Perfetto file, decoded by protoc: slices are closed, tracks declared before use, flows have two ends."""
import collections
import json
import pathlib
import re
import shutil
import subprocess
import sys
import unittest

import scope
from scope import run

PROTO = pathlib.Path(__file__).resolve().parents[1] / "vcpuscope" / "perfetto_trace.proto"


def parse(text: str):
    """protoc's text form as nested dictionaries of lists."""
    stack = [collections.defaultdict(list)]
    for line in text.splitlines():
        line = line.strip()
        if line.endswith("{"):
            child = collections.defaultdict(list)
            stack[-1][line[:-1].strip()].append(child)
            stack.append(child)
        elif line == "}":
            stack.pop()
        else:
            name, value = line.split(": ", 1)
            stack[-1][name].append(value.strip('"'))
    return stack[0]


class Perfetto(scope.ScopeTest):
    def setUp(self) -> None:
        super().setUp()
        self.trace = self.sample()
        out = self.folder / "out.pftrace"
        run("perfetto", self.trace, "-o", out)
        with open(out, "rb") as file:
            text = subprocess.run(["protoc", "--decode=perfetto.protos.Trace", f"--proto_path={PROTO.parent}", PROTO.name],
                                  stdin=file, capture_output=True, text=True, check=True).stdout
        self.assertIsNone(re.search(r"^\s*\d+: ", text, re.M), "every field is one of the format")
        self.packets = parse(text)["packet"]
        self.records = [json.loads(line) for line in run("trace", "--json", self.trace).stdout.splitlines()]

    def test_tracks_and_slices(self) -> None:
        tracks, depth, kinds = {}, collections.Counter(), collections.Counter()
        names = {}
        for packet in self.packets:
            for data in packet["interned_data"]:
                for entry in data["event_names"]:
                    names[entry["iid"][0]] = entry["name"][0]
            for track in packet["track_descriptor"]:
                self.assertNotIn(track["uuid"][0], tracks)
                for parent in track["parent_uuid"]:
                    self.assertIn(parent, tracks)
                tracks[track["uuid"][0]] = track
            for event in packet["track_event"]:
                self.assertIn(event["track_uuid"][0], tracks)
                kind = event["type"][0]
                kinds[kind] += 1
                if kind != "TYPE_SLICE_END":
                    self.assertIn(event["name_iid"][0], names)
                depth[event["track_uuid"][0]] += {"TYPE_SLICE_BEGIN": 1, "TYPE_SLICE_END": -1}.get(kind, 0)
                self.assertGreaterEqual(depth[event["track_uuid"][0]], 0)
        self.assertEqual(set(depth.values()), {0}, "every slice ends")
        events = [r for r in self.records if not r["kind"].startswith("exit_")]
        self.assertEqual(kinds["TYPE_INSTANT"], len(events))
        threads = {t["thread"][0]["thread_name"][0] for t in tracks.values() if t["thread"]}
        self.assertEqual(threads, {"vCPU 0", "vCPU 1", "vCPU 2"})
        processes = {t["process"][0]["process_name"][0] for t in tracks.values() if t["process"]}
        self.assertEqual(processes, {"VM linux", "VM uboot"})
        self.assertLessEqual({f"CPU {n}" for n in range(4)}, {t["name"][0] for t in tracks.values() if t["name"]})
        self.assertIn("MmioWrite PL011.DR", names.values())

    def test_slices_of_a_vcpu_do_not_overlap(self) -> None:
        last = collections.defaultdict(int)
        for packet in self.packets:
            for event in packet["track_event"]:
                if event["type"][0] == "TYPE_INSTANT":
                    continue
                time, track = int(packet["timestamp"][0]), event["track_uuid"][0]
                self.assertGreaterEqual(time, last[track])
                last[track] = time

    def test_flows_have_both_ends(self) -> None:
        begun, ended = set(), set()
        for packet in self.packets:
            for event in packet["track_event"]:
                begun.update(event["flow_ids"])
                for flow in event["terminating_flow_ids"]:
                    self.assertIn(flow, begun)
                    self.assertNotIn(flow, ended)
                    ended.add(flow)
        delivered = sum(r["kind"] == "irq_delivered" for r in self.records)
        started = sum(r["kind"] == "psci_call" for r in self.records)
        self.assertGreater(started, 0)
        self.assertGreaterEqual(len(ended), delivered)
        self.assertLessEqual(len(ended), delivered + started)
        self.assertGreater(len(ended), delivered, "CPU_ON leads to the first record of its target")

    def test_arguments(self) -> None:
        values = collections.defaultdict(list)
        names = {}
        for packet in self.packets:
            for data in packet["interned_data"]:
                for entry in data["debug_annotation_names"]:
                    names[entry["iid"][0]] = entry["name"][0]
            for event in packet["track_event"]:
                for argument in event["debug_annotations"]:
                    value = argument["pointer_value"] or argument["string_value"] or argument["uint_value"]
                    values[names[argument["name_iid"][0]]].append(value[0])
        self.assertEqual(collections.Counter(values["reason"]), collections.Counter(r["reason"] for r in self.records))
        self.assertEqual(sorted(map(int, values["IPA"])), sorted(int(r["ipa"], 16) for r in self.records if "ipa" in r))
        exits = [r for r in self.records if r["kind"].startswith("exit_")]
        self.assertEqual(collections.Counter(values["outcome"]), collections.Counter(r["outcome"] for r in exits))


if __name__ == "__main__":
    if not shutil.which("protoc"):
        print("skipped: no protoc (protobuf-compiler)")
        sys.exit(scope.SKIPPED)
    scope.main()
