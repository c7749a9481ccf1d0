// SPDX-License-Identifier: LGPL-2.1-or-later
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "lib/config_file.h"

namespace vmt {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

constexpr const char* kUuid = "6e0c3a0e-7a4b-4a3e-9c43-0ecd0a7f0001";

Guest guest(const char* name) {
  return {.name = name, .uuid = *Uuid::parse(kUuid), .id = {}, .nics = {}, .given = {}};
}

TEST(ConfigTest, WithoutAWordEverythingIsOn) {
  const auto config = parse_config("", "f");
  ASSERT_TRUE(config);
  EXPECT_TRUE(config->host_access_on(*IfName::parse("eth0")));
  EXPECT_TRUE(config->given_to(guest("web")).empty());
}

TEST(ConfigTest, ReadsParentsAndGuests) {
  const auto config = parse_config(
      "# a comment\n"
      "host-access = no\n"
      "[parent eth0.100]\n"
      "host-access = yes   # and another\n"
      "address = 192.0.2.60/24, 2001:db8::60\n"
      "[guest web.example.org]\n"
      "52:54:00:12:34:56 = 192.0.2.61 2001:db8::61\n"
      "[guest 6E0C3A0E-7a4b-4a3e-9c43-0ecd0a7f0001]\n"
      "52:54:00:12:34:57 = 192.0.2.62\n",
      "f");
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_FALSE(config->host_access_on(*IfName::parse("eth1")));
  EXPECT_TRUE(config->host_access_on(*IfName::parse("eth0.100")));
  const auto& addresses = config->parents.at(*IfName::parse("eth0.100")).addresses;
  ASSERT_EQ(addresses.size(), 2U);
  EXPECT_EQ(addresses[0].str(), "192.0.2.60/24");
  EXPECT_EQ(addresses[1].str(), "2001:db8::60/128");
  const auto given = config->given_to(guest("web.example.org"));
  ASSERT_EQ(given.size(), 2U);
  EXPECT_EQ(given[0].addresses.size(), 2U);
  EXPECT_EQ(given[1].addresses.at(0).str(), "192.0.2.62");
}

TEST(ConfigTest, ReadsHowToLearn) {
  const auto config = parse_config("learn = strict\nmax-addresses = 64\n[guest web]\nlearn = no\n", "f");
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->learn, LearnMode::kStrict);
  EXPECT_EQ(config->max_addresses, kMostAddresses);
  EXPECT_EQ(config->guests.at("web").learn, LearnMode::kNo);
}

TEST(ConfigTest, EveryErrorNamesFileAndLine) {
  const struct {
    const char* text;
    const char* where;
    const char* what;
  } kRows[] = {
      {"\n# x\nhost_access = yes\n", "f:3: ", "unknown key 'host_access'"},
      {"host-access = maybe\n", "f:1: ", "neither 'yes' nor 'no'"},
      {"host-access = yes\nhost-access = yes\n", "f:2: ", "set twice"},
      {"learn = loose\n", "f:1: ", "neither 'yes' nor 'no' nor 'strict'"},
      {"max-addresses = 0\n", "f:1: ", "'0' is no number from 1 to 64"},
      {"max-addresses = 65\n", "f:1: ", "'65' is no number from 1 to 64"},
      {"max-addresses = 8x\n", "f:1: ", "'8x' is no number from 1 to 64"},
      {"max-addresses = 4294967304\n", "f:1: ", "'4294967304' is no number from 1 to 64"},
      {"max-addresses =\n", "f:1: ", "'' is no number from 1 to 64"},
      {"nonsense\n", "f:1: ", "neither [SECTION] nor KEY = VALUE"},
      {"host-access = yes\n\n[parent eth0]\naddress\n", "f:4: ", "neither [SECTION] nor KEY = VALUE"},
      {"[parent eth0]\naddress = 192.0.2.999\n", "f:2: ", "neither IPv4 nor IPv6"},
      {"[parent eth0]\naddress = 224.0.0.1\n", "f:2: ", "multicast"},
      {"[parent eth0]\naddress = 192.0.2.1/33\n", "f:2: ", "0 to 32"},
      {"[parent eth0]\naddress = 192.0.2.1 192.0.2.2\n", "f:2: ", "second one of its family"},
      {"[parent eth0]\naddress =\n", "f:2: ", "missing"},
      {"[parent eth0]\nmtu = 9000\n", "f:2: ", "unknown key 'mtu'"},
      {"[parent a/b]\nhost-access = no\n", "f:2: ", "interface name 'a/b'"},
      {"[bridge br0]\nhost-access = no\n", "f:2: ", "unknown section"},
      {"[parent eth0]\nx.learn = no\n", "f:2: ", "a dot in 'x.learn'"},
      {"parent eth0.learn = no\n", "f:1: ", "a dot in 'parent eth0.learn'"},
      {"[parent eth0.]\nlearn = no\n", "f:1: ", "a dot in '[parent eth0.]'"},
      {"[bridge \x1b[2J]\nhost-access = no\n", "f:2: ", "'bridge \\x1b[2J'"},
      {"[parent eth0]\nlearn = no\n[parent  eth0]\nlearn = yes\n", "f:4: ", "set twice"},
      {"[parent eth0]\nhost-access = no\n[parent\teth0]\nhost-access = yes\n", "f:4: ", "set twice"},
      {"[parent eth0]\naddress = 192.0.2.9\n[parent  eth0]\naddress = 2001:db8::9\n", "f:4: ", "set twice"},
      {"[guest a]\nlearn = no\n[guest  a]\nlearn = yes\n", "f:4: ", "set twice"},
      {"[guest web]\n52:54:00 = 192.0.2.1\n", "f:2: ", "MAC address '52:54:00'"},
      {"[guest web]\n52:54:00:12:34:56 = 224.0.0.1\n", "f:2: ", "multicast"},
      {"[guest a]\n52:54:00:12:34:56 = 192.0.2.1\n[guest b]\n52:54:00:12:34:57 = 192.0.2.1\n", "f:4: ", "given twice"},
      {"[guest a]\n52:54:00:12:34:56 = 192.0.2.1\n[guest a]\n52:54:00:12:34:56 = 192.0.2.2\n", "f:4: ", "set twice"},
      {"[guest a]\n52:54:00:12:34:5a = 192.0.2.1\n52:54:00:12:34:5A = 192.0.2.2\n", "f:3: ", "is set twice"},
  };
  for (const auto& row : kRows) {
    const auto config = parse_config(row.text, "f");
    ASSERT_FALSE(config) << row.text;
    EXPECT_THAT(config.error().message, StartsWith(row.where)) << row.text;
    EXPECT_THAT(config.error().message, HasSubstr(row.what)) << row.text;
  }
}

TEST(ConfigTest, NoFileMeansTheDefaultsAndADirectoryIsAnError) {
  EXPECT_TRUE(read_config("/nonexistent/virt-macvtap.conf"));
  EXPECT_FALSE(read_config("/"));
}

TEST(ConfigTest, WhatCannotBeReadOrIsTooLargeIsNotTakenForNone) {
  char folder[] = "/tmp/config_test.XXXXXX";
  const std::filesystem::path path = std::filesystem::path(mkdtemp(folder)) / "conf";
  std::filesystem::create_symlink(path, path);
  EXPECT_FALSE(read_config(path.c_str())) << "a loop";
  std::filesystem::remove(path);
  std::ofstream(path) << std::string(1024 * 1024, '#');
  EXPECT_TRUE(read_config(path.c_str()));
  std::ofstream(path, std::ios::app) << '#';
  EXPECT_FALSE(read_config(path.c_str()));
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace vmt
