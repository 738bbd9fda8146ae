// SPDX-License-Identifier: Apache-2.0
#include "report.hpp"
#include "test_state.hpp"

namespace arm_vcpu::diag {
namespace {

TEST(Catalogue, HasEveryCodeOnceInOrder) {
  unsigned expected = 1;
  for (const CodeInfo& info : catalogue()) {
    const auto number = static_cast<unsigned>(info.code);
    if (number != 9999) {
      EXPECT_EQ(number, expected++);
    }
    EXPECT_FALSE(info.title.empty() || info.symptom.empty() || info.cause.empty() || info.advice.empty() ||
                 info.where.empty())
        << info.name;
    EXPECT_FALSE(name_of(info.arises).empty());
  }
  EXPECT_EQ(expected, 37U);
  EXPECT_EQ(catalogue().back().code, Code::unknown);
}

TEST(Catalogue, ParsesWhatPeopleType) {
  EXPECT_EQ(parse_code("AV0003"), Code::mmio_failure);
  EXPECT_EQ(parse_code("av3"), Code::mmio_failure);
  EXPECT_EQ(parse_code("9999"), Code::unknown);
  for (const char* bad : {"", "AV", "AV0037", "AV00003", "BV3", "3x", "AV-1", "0"})
    EXPECT_FALSE(parse_code(bad)) << bad;
}

TEST(Catalogue, AnUnknownNumberIsUnknown) {
  EXPECT_EQ(info_of(Code{500}).code, Code::unknown);
  char storage[16];
  TextBuffer out{storage};
  append(out, Code::call_unanswered);
  EXPECT_EQ(out.view(), "AV0004");
}

void add(DiagnosisList& list, Code code, Confidence confidence, std::string_view what = {}) {
  Report report{CapturedState{}, code, confidence};
  report.what("{}", what);
  report.done(list);
}

std::vector<Code> codes(const DiagnosisList& list) {
  std::vector<Code> result;
  for (const Diagnosis& diagnosis : list) result.push_back(diagnosis.code());
  return result;
}

TEST(DiagnosisList, TheMostCertainComesFirstAndEqualsKeepTheirOrder) {
  DiagnosisList list;
  add(list, Code::overlap, Confidence::possible);
  add(list, Code::serror, Confidence::likely);
  add(list, Code::mmio_failure, Confidence::certain);
  add(list, Code::boot_protocol, Confidence::likely);
  EXPECT_THAT(codes(list), ElementsAre(Code::mmio_failure, Code::serror, Code::boot_protocol, Code::overlap));
}

TEST(DiagnosisList, ACodeAppearsOnceWithItsHighestConfidence) {
  DiagnosisList list;
  add(list, Code::overlap, Confidence::possible, "first");
  add(list, Code::serror, Confidence::likely);
  add(list, Code::overlap, Confidence::certain, "second");
  add(list, Code::overlap, Confidence::likely, "third");
  EXPECT_THAT(codes(list), ElementsAre(Code::overlap, Code::serror));
  EXPECT_EQ(list[0].what(), "second");
}

TEST(DiagnosisList, TheLeastCertainIsLeftOut) {
  DiagnosisList list;
  add(list, Code::mmio_failure, Confidence::likely);
  add(list, Code::exception_loop, Confidence::likely);
  add(list, Code::serror, Confidence::likely);
  add(list, Code::overlap, Confidence::possible);
  add(list, Code::boot_protocol, Confidence::certain);
  EXPECT_THAT(codes(list), ElementsAre(Code::boot_protocol, Code::mmio_failure, Code::exception_loop, Code::serror));
  EXPECT_EQ(list.left_out(), 1U);
  add(list, Code::unknown, Confidence::possible);
  EXPECT_EQ(list.size(), 4U);
  EXPECT_EQ(list.left_out(), 2U);
}

TEST(Report, TextThatDoesNotFitIsCut) {
  DiagnosisList list;
  Report report{CapturedState{}, Code::unknown, Confidence::possible};
  const std::string long_text(1000, 'x');
  report.what("{}", long_text);
  report.cause("{}", long_text);
  report.advice("{}", long_text);
  for (int i = 0; i < 50; ++i) report.note("row", "{}", "y");
  for (int i = 0; i < 50; ++i) report.rejects(Code::serror, "z");
  report.done(list);
  EXPECT_EQ(list[0].what().size(), 1000U);
  EXPECT_EQ(list[0].cause().size(), Diagnosis::kTextBytes - 1000);
  EXPECT_EQ(list[0].advice(), info_of(Code::unknown).advice) << "nothing left: the catalogue's";
  EXPECT_EQ(list[0].evidence_count(), Diagnosis::kMaxEvidence);
  EXPECT_EQ(list[0].rejected_count(), Diagnosis::kMaxRejected);
  EXPECT_EQ(list[0].evidence(99).label, "");
}

TEST(Duration, InUnitsThatPeopleRead) {
  EXPECT_EQ((Duration{62'500, 62'500'000}.view()), "1.000 ms");
  EXPECT_EQ((Duration{125'000'000, 62'500'000}.view()), "2.000 s");
  EXPECT_EQ((Duration{7, 0}.view()), "7 ticks");
  EXPECT_EQ((Duration{~0ULL, 1}.view()), "18446744073709551615.000 s");
}

}  // namespace
}  // namespace arm_vcpu::diag
