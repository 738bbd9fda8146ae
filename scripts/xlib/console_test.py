# SPDX-License-Identifier: Apache-2.0
import os
import threading
import time
import unittest
from unittest import mock

from xlib import console


class GateTest(unittest.TestCase):
    def gate(self, **options) -> console.InputGate:
        return console.InputGate.for_guest(**{"typed": False, "linux": True, "default_initrd": False, **options})

    def test_who_is_held(self):
        self.assertTrue(self.gate(typed=True).open)
        self.assertTrue(self.gate(linux=False).open)
        self.assertFalse(self.gate().open)

    def test_linux_listens_from_init_on(self):
        for line in (b"[    1.47] Run /init as init process", b"Run /init as init process", b"debian login: ", b"~ # "):
            gate = self.gate()
            gate.saw(b"[    0.00] Booting Linux on physical CPU 0x0")
            self.assertFalse(gate.open)
            gate.saw(line)
            self.assertTrue(gate.open, line)

    def test_the_default_guest_listens_at_its_prompt(self):
        gate = self.gate(default_initrd=True)
        gate.saw(b"Run /init as init process")
        gate.saw(b"arm_vcpu guest ready: Linux 6.1, 1 CPUs\r")
        self.assertFalse(gate.open)
        gate.saw(b"guest# \x1b[6n")
        self.assertTrue(gate.open)

    def test_silence_opens_but_not_during_the_default_guest_s_boot(self):
        for options, opens in (({}, True), ({"default_initrd": True}, False)):
            gate = self.gate(**options)
            gate.saw(b"unpacking")
            with mock.patch.object(console.time, "monotonic", return_value=time.monotonic() + 60):
                gate.tick()
            self.assertEqual(gate.open, opens)


class RelayTest(unittest.TestCase):
    """The relay between pipes that stand for QEMU's."""

    def setUp(self):
        self.to_guest, to_qemu = os.pipe()
        from_qemu, self.guest_says = os.pipe()
        errors, error_end = os.pipe()
        self.addCleanup(os.close, error_end)
        self.stdin, self.typing = os.pipe()
        self.seen, stdout = os.pipe()
        for name, file in (("stdin", os.fdopen(self.stdin)), ("stdout", os.fdopen(stdout, "wb"))):
            patch = mock.patch.object(console.sys, name, file)
            patch.start()
            self.addCleanup(file.close)
            self.addCleanup(patch.stop)
        self.relay_of = lambda gate, deadline=None: console.Relay(to_qemu, from_qemu, errors, gate, deadline)

    def test_bytes_pass_and_the_verdict_is_found_across_reads(self):
        relay = self.relay_of(console.InputGate(None))
        os.write(self.typing, b"ls\x00\xff\n")
        os.close(self.typing)  # the end of the input does not end the guest

        def guest():
            self.assertEqual(os.read(self.to_guest, 16), b"ls\x00\xff\n")
            for piece in (b"\xc3", b"x [hv] verdict: ok\r\n[hv] ver", b"dict: failed: vm0 is gone\r\n"):
                os.write(self.guest_says, piece)
                time.sleep(0.02)
            os.close(self.guest_says)

        thread = threading.Thread(target=guest)
        thread.start()
        relay.run()
        thread.join()
        self.assertEqual(relay.verdict, "failed: vm0 is gone")
        self.assertEqual(os.read(self.seen, 4096), b"\xc3x [hv] verdict: ok\r\n[hv] verdict: failed: vm0 is gone\r\n")

    def test_the_timeout_comes_though_the_guest_never_stops_writing(self):
        relay = self.relay_of(console.InputGate(None), deadline=time.monotonic() + 0.1)
        os.write(self.guest_says, b"x" * 1000)
        with self.assertRaises(console.Ended) as caught:
            relay.run()
        self.assertEqual(caught.exception.status, 124)

    def test_a_guest_cannot_give_the_verdict(self):
        relay = self.relay_of(console.InputGate(None))
        os.write(self.guest_says, b"[hv] verdict: ok\r\nand then I go on\r\n")
        os.close(self.guest_says)
        relay.run()
        self.assertIsNone(relay.verdict)

    def test_a_verdict_without_power_off_ends_too(self):
        relay = self.relay_of(console.InputGate(None))
        os.write(self.guest_says, b"[hv] verdict: ok\r\n")
        with mock.patch.object(console, "POWER_OFF_SECONDS", 0.05):
            relay.run()
        self.assertEqual(relay.verdict, "ok")

    def test_the_escape_keys(self):
        relay = self.relay_of(console.InputGate(None))
        self.assertEqual(relay._keys(b"a\x1d\x1db\x1d1"), b"a\x1d\x1db\x1d1")
        self.assertEqual(relay._keys(b"\x1d"), b"")  # not before the next key is known
        self.assertEqual(relay._keys(b"0"), b"\x1d0")
        with self.assertRaises(console.Ended):
            relay._keys(b"\x1dx")


if __name__ == "__main__":
    unittest.main()
