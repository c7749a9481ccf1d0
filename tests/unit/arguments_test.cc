// SPDX-License-Identifier: LGPL-2.1-or-later
#include "helper/tap/arguments.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace vmt::tap {
namespace {

using testing::HasSubstr;

using Words = std::vector<const char*>;

TEST(ArgumentsTest, ReadsWhatQemuAndLibvirtWrite) {
  for (const Words& words : {Words{"--use-vnet", "--fd=21", "--br=eth0"}, Words{"--use-vnet", "--br=eth0", "--fd=21"},
                             Words{"--br", "eth0", "--fd", "21", "--use-vnet"}}) {
    const auto arguments = parse_arguments(words);
    ASSERT_TRUE(arguments.has_value()) << arguments.error().message;
    EXPECT_TRUE(arguments->vnet_header);
    EXPECT_EQ(arguments->fd, 21);
    EXPECT_EQ(arguments->request->parent.str(), "eth0");
    EXPECT_FALSE(arguments->request->mac || arguments->help || arguments->version);
  }
  EXPECT_FALSE(parse_arguments(Words{"--br=eth0", "--fd=0"})->vnet_header);
}

TEST(ArgumentsTest, HelpAndVersionNeedNothingElse) {
  EXPECT_TRUE(parse_arguments(Words{"--help"})->help);
  EXPECT_TRUE(parse_arguments(Words{"--version"})->version);
  EXPECT_FALSE(parse_arguments(Words{"--help", "--bogus"}).has_value());
}

TEST(ArgumentsTest, WhateverElseThereIsIsAnError) {
  const struct {
    Words words;
    const char* line;
  } kRows[] = {
      {{}, "--br=PARENT is missing"},
      {{"--fd=3"}, "--br=PARENT is missing"},
      {{"--br=eth0"}, "--fd=N is missing"},
      {{"--br=eth0", "--fd=3", "--br=eth1"}, "'--br=eth1'"},
      {{"--br=eth0", "--fd=3", "--fd=3"}, "'--fd=3'"},
      {{"--br"}, "'--br'"},
      {{"--fd=3", "--br"}, "'--br'"},
      {{"--fd"}, "'--fd'"},
      {{"--bridge=eth0"}, "'--bridge=eth0'"},
      {{"--use-vnet=yes"}, "'--use-vnet=yes'"},
      {{"-h"}, "'-h'"},
      {{"eth0"}, "'eth0'"},
      {{""}, "''"},
      {{"--x\n\x1b[2J"}, "'--x\\x0a\\x1b[2J'"},
      {{"--br=eth0", "--fd="}, "--fd ''"},
      {{"--br=eth0", "--fd=-1"}, "--fd '-1'"},
      {{"--br=eth0", "--fd=+1"}, "--fd '+1'"},
      {{"--br=eth0", "--fd= 1"}, "--fd ' 1'"},
      {{"--br=eth0", "--fd=1x"}, "--fd '1x'"},
      {{"--br=eth0", "--fd=0x1"}, "--fd '0x1'"},
      {{"--br=eth0", "--fd=2147483648"}, "--fd '2147483648'"},
      {{"--br=eth0", "--fd=99999999999999999999"}, "--fd '99999999999999999999'"},
  };
  for (const auto& row : kRows) {
    const auto arguments = parse_arguments(row.words);
    ASSERT_FALSE(arguments.has_value()) << row.line;
    EXPECT_THAT(arguments.error().message, HasSubstr(row.line));
    EXPECT_EQ(arguments.error().message.find('\n'), std::string::npos);
  }
}

TEST(ArgumentsTest, ANameHoldsTheParentAndAMacAndAModeInAnyOrder) {
  const struct {
    const char* text;
    const char* mac;
    MacvlanMode mode;
  } kRows[] = {{"eth0", nullptr, MacvlanMode::kBridge},
               {"eth0/52:54:00:12:34:56", "52:54:00:12:34:56", MacvlanMode::kBridge},
               {"eth0/52:54:00:12:34:56/vepa", "52:54:00:12:34:56", MacvlanMode::kVepa},
               {"eth0/private/52:54:00:12:34:56", "52:54:00:12:34:56", MacvlanMode::kPrivate},
               {"eth0/bridge", nullptr, MacvlanMode::kBridge},
               {"eth0/passthru", nullptr, MacvlanMode::kPassthru},
               {"eth0/passthrough", nullptr, MacvlanMode::kPassthru},
               {"eth0/source", nullptr, MacvlanMode::kSource}};
  for (const auto& row : kRows) {
    const auto request = parse_request(row.text);
    ASSERT_TRUE(request.has_value()) << row.text;
    EXPECT_EQ(request->parent.str(), "eth0");
    EXPECT_EQ(request->mode, row.mode) << row.text;
    EXPECT_EQ(request->mac ? request->mac->str() : "", row.mac ? row.mac : "") << row.text;
  }
}

TEST(ArgumentsTest, ANameWithAnythingElseIsAnError) {
  for (const char* text : {"",
                           "/",
                           "/bridge",
                           "eth0/",
                           "eth0//bridge",
                           "eth0/bridge/",
                           "eth0/bridge/vepa",
                           "eth0/bridge/bridge",
                           "eth0/52:54:00:12:34:56/52:54:00:12:34:57",
                           "eth0/53:54:00:12:34:56",
                           "eth0/00:00:00:00:00:00",
                           "eth0/52:54:00:12:34",
                           "eth0/52-54-00-12-34-56",
                           "eth0/52:54:00:12:34:56 ",
                           "eth0/BRIDGE",
                           "eth0 ",
                           " eth0",
                           "eth0:1",
                           ".",
                           "..",
                           "../eth0",
                           "sixteencharacter",
                           "eth0/passthru/52:54:00:12:34:56",
                           "eth0/52:54:00:12:34:56/passthru",
                           "eth0\n"}) {
    const auto request = parse_request(text);
    ASSERT_FALSE(request.has_value()) << text;
    EXPECT_EQ(request.error().kind, ErrorKind::kInvalid);
    EXPECT_THAT(request.error().message, HasSubstr("--br '"));
    EXPECT_EQ(request.error().message.find('\n'), std::string::npos);
  }
}

}  // namespace
}  // namespace vmt::tap
