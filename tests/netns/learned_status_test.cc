// SPDX-License-Identifier: LGPL-2.1-or-later
// What `status`, `sync` and `clean` say of learned addresses and of the watcher.
#include <fcntl.h>
#include <unistd.h>

#include "lib/fd.h"
#include "tests/netns/addresses_fixture.h"

namespace vmt {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;

using LearnedStatusTest = AddressesTest;

// ------------------------------------------------------------------------------------------------

TEST_F(LearnedStatusTest, StatusTellsLearnedFromGivenAndShowsGuestsInOtherNamespaces) {
  const ByHand guest(kDbMac);
  add_macvtap("macvtap0", kWebMac);
  make_shim();
  sh(pin("192.0.2.61", kWebMac, 118) + " && " + pin("192.0.2.62", kDbMac));
  const json status = json::parse(output_of(kCli + "status --json --connect test:///run/node.xml"));
  const json& guests = status["parents"][0]["guests"];
  ASSERT_THAT(guests, SizeIs(2));
  for (const json& one : guests) {
    const bool web = one["mac"] == kWebMac;
    EXPECT_EQ(one["name"], web ? json("web") : json(nullptr));
    EXPECT_EQ(one["nsid"].is_null(), web);
    ASSERT_THAT(one["addresses"], SizeIs(1));
    EXPECT_EQ(one["addresses"][0]["address"], web ? "192.0.2.61" : "192.0.2.62");
    EXPECT_EQ(one["addresses"][0]["origin"], web ? "given" : "learned");
    EXPECT_LT(one["addresses"][0]["since"], 60);
  }
  EXPECT_THAT(health(), IsEmpty());
  EXPECT_THAT(output_of(kCli + "status --connect test:///run/node.xml"),
              AllOf(HasSubstr("192.0.2.61  given, host at 192.0.2.10"),
                    testing::ContainsRegex("192.0.2.62  learned [0-9]+ s ago, host at 192.0.2.10"),
                    testing::ContainsRegex("\\(nsid [0-9]+\\)")));
}

TEST_F(LearnedStatusTest, StatusSaysHowAnUnknownAddressBecomesKnown) {
  sh("sed -i 's/<v:address>.*<.v:address>//' /run/node.xml");
  add_macvtap("macvtap0", kWebMac);
  make_shim();
  ASSERT_THAT(health(), SizeIs(1));
  EXPECT_THAT(health()[0], AllOf(HasSubstr("guest 'web'"), HasSubstr("systemctl start virt-macvtap-watch"),
                                 HasSubstr("`virt-macvtap watch`"), HasSubstr("metadata")));
}

// As the watcher holds it.
class HeldLock {
 public:
  HeldLock() : fd_(open("/run/virt-macvtap-watch.lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600)) {
    struct flock lock {};
    lock.l_type = F_WRLCK;
    lock.l_whence = SEEK_SET;
    EXPECT_EQ(fcntl(fd_.get(), F_SETLK, &lock), 0);
  }

 private:
  Fd fd_;
};

TEST_F(LearnedStatusTest, WithAWatcherAnUnknownAddressHasNotBeenHeardYetAndCleanWarns) {
  sh("sed -i 's/<v:address>.*<.v:address>//' /run/node.xml");
  add_macvtap("macvtap0", kWebMac);
  make_shim();
  const HeldLock lock;
  ASSERT_THAT(health(), SizeIs(1));
  EXPECT_THAT(health()[0], AllOf(HasSubstr("it has not been heard yet"), Not(HasSubstr("systemctl"))));
  EXPECT_EQ(status_of(kCli + "clean >/run/out 2>/run/err"), 0);
  EXPECT_EQ(output_of("cat /run/err"),
            "virt-macvtap: the watcher (PID " + std::to_string(getpid()) +
                ") makes again what guests need; stop it first: systemctl stop virt-macvtap-watch\n");
  EXPECT_THAT(output_of("cat /run/out"), HasSubstr("delete shim"));
}

TEST_F(LearnedStatusTest, ASyncLeavesToTheWatcherWhatIsItsOwn) {
  const ByHand guest(kDbMac);
  add_macvtap("macvtap0", kWebMac);
  make_shim();
  sh(pin("192.0.2.62", kDbMac) + " && " + pin("192.0.2.66", kWebMac) + " && " + pin("192.0.2.69", "52:54:00:12:34:99"));
  run("sync --connect test:///run/node.xml");
  const std::string neighbours = output_of("ip neigh show nud permanent dev " + shim_);
  for (const char* address : {"192.0.2.61", "192.0.2.62", "192.0.2.66"}) EXPECT_THAT(neighbours, HasSubstr(address));
  EXPECT_THAT(neighbours, Not(HasSubstr("192.0.2.69"))) << "nobody has its MAC";
  EXPECT_THAT(output_of(kCli + "sync --connect test:///run/node.xml"), HasSubstr("nothing to do"));
}

}  // namespace
}  // namespace vmt
