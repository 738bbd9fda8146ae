// SPDX-License-Identifier: Apache-2.0
#include "console_mux.hpp"

#include <gtest/gtest.h>

#include <string>

namespace arm_vcpu::hv {
namespace {

struct StringSink {
  std::string* text;
  void operator()(std::string_view more) const { text->append(more); }
};

class OutputMuxTest : public ::testing::Test {
 protected:
  std::string take() { return std::exchange(text_, {}); }

  std::string text_;
  OutputMux<StringSink> mux_{StringSink{&text_}};
};

TEST_F(OutputMuxTest, OneVmIsRaw) {
  mux_.write(0, "abc", 0);
  mux_.write(0, "\x1b[0m\r\nlogin: ", 0);
  EXPECT_EQ(take(), "abc\x1b[0m\r\nlogin: ");
}

TEST_F(OutputMuxTest, TheHypervisorAlwaysStartsALine) {
  mux_.hypervisor_line("", "one");
  mux_.write(0, "login: ", 0);
  mux_.hypervisor_line("warning: ", "two");
  mux_.hypervisor_line("", "three");
  EXPECT_EQ(take(), "[hv] one\r\nlogin: \r\n[hv] warning: two\r\n[hv] three\r\n");
}

TEST_F(OutputMuxTest, SeveralVmsSpeakInWholeLines) {
  mux_.set_vm_count(2);
  for (const char* pair : {"aA", "bB", "\r\r"}) {  // both print byte by byte at the same time
    mux_.write(0, {pair, 1}, 0);
    mux_.write(1, {pair + 1, 1}, 0);
  }
  EXPECT_EQ(take(), "");
  mux_.write(1, "\n", 1);
  mux_.write(0, "\n", 2);
  EXPECT_EQ(take(), "[vm1] AB\r\n[vm0] ab\r\n");
  mux_.write(0, "x\r\ny\r\nz", 3);
  EXPECT_EQ(take(), "[vm0] x\r\n[vm0] y\r\n");
}

TEST_F(OutputMuxTest, APromptAppearsWhenIdleAndThenEchoes) {
  mux_.set_vm_count(2);
  mux_.write(0, "login: ", 100);
  EXPECT_EQ(mux_.next_idle(50), 150U);
  EXPECT_TRUE(mux_.waits(0));
  EXPECT_FALSE(mux_.waits(1));
  mux_.show_idle(149, 50);
  EXPECT_EQ(take(), "");
  mux_.show_idle(150, 50);
  EXPECT_EQ(take(), "[vm0] login: ");
  EXPECT_FALSE(mux_.waits(0));
  EXPECT_EQ(mux_.next_idle(50), std::nullopt);
  mux_.write(0, "r", 200);
  EXPECT_EQ(take(), "r");
  mux_.write(1, "hello\r\n", 201);  // breaks the prompt
  EXPECT_EQ(take(), "\r\n[vm1] hello\r\n");
  mux_.write(0, "oot\r\n", 202);
  EXPECT_EQ(take(), "[vm0] oot\r\n");
}

TEST_F(OutputMuxTest, TwoIdlePromptsGetALineEach) {
  mux_.set_vm_count(2);
  mux_.write(0, "a: ", 0);
  mux_.write(1, "b: ", 1);
  mux_.show_idle(100, 50);
  EXPECT_EQ(take(), "[vm0] a: \r\n[vm1] b: ");
  mux_.hypervisor_line("", "note");
  EXPECT_EQ(take(), "\r\n[hv] note\r\n");
}

TEST_F(OutputMuxTest, AnOverlongLineIsShownInPieces) {
  mux_.set_vm_count(2);
  mux_.write(0, std::string(300, 'x') + "\r\n", 0);
  EXPECT_EQ(take(), "[vm0] " + std::string(300, 'x') + "\r\n");
}

TEST_F(OutputMuxTest, FinishLosesNothing) {
  mux_.set_vm_count(2);
  mux_.write(1, "tail", 0);
  mux_.finish();
  EXPECT_EQ(take(), "[vm1] tail\r\n");
  mux_.finish();
  EXPECT_EQ(take(), "");
}

TEST(InputRouter, EscapeMovesFocusAndSendsItself) {
  using enum InputRouter::Action;
  InputRouter router;
  router.set_vm_count(2);
  EXPECT_EQ(router.feed('a'), deliver);
  EXPECT_EQ(router.feed(InputRouter::kEscape), none);
  EXPECT_EQ(router.feed('1'), focus_moved);
  EXPECT_EQ(router.focus(), 1U);
  EXPECT_EQ(router.feed('0'), deliver);
  EXPECT_EQ(router.feed(InputRouter::kEscape), none);
  EXPECT_EQ(router.feed('2'), no_such_vm);
  EXPECT_EQ(router.focus(), 1U);
  EXPECT_EQ(router.feed(InputRouter::kEscape), none);
  EXPECT_EQ(router.feed(InputRouter::kEscape), deliver);
  EXPECT_EQ(router.feed(InputRouter::kEscape), none);
  EXPECT_EQ(router.feed('?'), help);
  EXPECT_EQ(router.feed(InputRouter::kEscape), none);
  EXPECT_EQ(router.feed('x'), end_machine);
}

TEST(InputQueue, KeepsOrderAcrossTheWrap) {
  InputQueue queue;
  char next_in = 0;
  char next_out = 0;
  for (int round = 0; round < 10; ++round) {
    while (!queue.full()) queue.push(next_in++);
    for (int i = 0; i < 100; ++i) ASSERT_EQ(queue.pop(), next_out++);
  }
  while (!queue.empty()) ASSERT_EQ(queue.pop(), next_out++);
  EXPECT_EQ(next_out, next_in);
  EXPECT_EQ(queue.pop(), std::nullopt);
}

}  // namespace
}  // namespace arm_vcpu::hv
