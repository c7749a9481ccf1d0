// SPDX-License-Identifier: LGPL-2.1-or-later
// Learning, whatever guests and the LAN say and in whatever order: what is learned is theirs to have, and not too much.
#include "lib/learning.h"

#include "lib/config_file.h"
#include "tests/fuzz/property.h"

namespace {

using namespace vmt;
using std::chrono::milliseconds;

const Config kConfig = *parse_config(
    "max-addresses = 3\n[guest c]\n52:54:00:00:00:03 = 192.0.2.50\nlearn = strict\n[parent eth0]\nlearn = yes\n",
    "file");

const IpAddress kHost6 = *IpAddress::parse("2001:db8::10");

MacAddress mac(unsigned number) {
  const std::uint8_t bytes[] = {0x52, 0x54, 0, 0, 0, static_cast<std::uint8_t>(1 + number % 5)};
  return *MacAddress::from_bytes(bytes);
}
IpAddress address(unsigned number) {
  constexpr const char* kAll[] = {"192.0.2.1",  "192.0.2.10", "192.0.2.50", "192.0.2.61",   "192.0.2.62",
                                  "192.0.2.63", "192.0.2.64", "10.0.0.1",   "2001:db8::61", "2001:db8::62"};
  return *IpAddress::parse(kAll[number % std::size(kAll)]);
}

// Two parents, and as guests those MACs whose bits are set.
std::vector<Ground> grounds(unsigned guests) {
  std::vector<Ground> all;
  for (const unsigned index : {2U, 3U}) {
    Ground ground{.parent = {.index = index,
                             .name = *IfName::parse(index == 2 ? "eth0" : "eth1"),
                             .mac = *MacAddress::parse("52:54:00:00:00:10"),
                             .addresses = {{*IpPrefix::parse("192.0.2.10/24"), true},
                                           {*IpPrefix::parse("2001:db8::10/64"), true}},
                             .gateways = {address(0)}},
                  .guests = {}};
    for (unsigned i = 0; i < 4; ++i, guests >>= 1)
      if (guests & 1)
        ground.guests.emplace(
            mac(i), GuestNic{.guest = "g", .given = {}, .learn = i == 2 ? LearnMode::kStrict : LearnMode::kYes});
    all.push_back(std::move(ground));
  }
  return all;
}
bool is_guest(unsigned guests, const LearnedAddress& who) {
  const unsigned bit = who.mac.bytes()[5] - 1U + (who.parent == 3 ? 4 : 0);
  return who.parent >= 2 && who.parent <= 3 && guests >> bit & 1;
}

void check(const Learning& learning, unsigned guests) {
  std::map<std::pair<unsigned, MacAddress>, unsigned> count;
  for (const auto& learned : learning.learned()) {
    fuzz::require(is_guest(guests, learned), "what is learned is a guest's that is there");
    fuzz::require(++count[{learned.parent, learned.mac}] <= kConfig.max_addresses, "not more than max-addresses");
    fuzz::require(learned.address.why_not_a_guests().empty(), "the address can be a guest's");
    fuzz::require(learned.address != address(0) && learned.address != address(1), "not the gateway's, not the host's");
    fuzz::require(learned.address != address(2) || learned.mac == mac(2), "what is given to another is not learned");
  }
}
void check(const Learning::Decisions& decided) {
  for (const auto& question : decided.questions)
    fuzz::require(question.source.family() == question.address.family(), "a question is of one family");
  for (const auto& answer : decided.answers)
    fuzz::require(answer.address == kHost6, "only for the host's addresses is there an answer");
  for (const auto& note : decided.notes) fuzz::require(fuzz::is_one_line(note), "a note is one line");
}

}  // namespace

// Steps: what happens (4 bits), on which parent, a MAC, an address or a time.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Bytes bytes(data, std::min<std::size_t>(size, 1024));
  Learning learning(kConfig);
  Learning::Time now{std::chrono::hours(1)};
  unsigned guests = 0xff;
  learning.update(grounds(guests), {}, now);
  while (!bytes.empty()) {
    const unsigned step = bytes.byte(), who = bytes.byte(), what = bytes.byte();
    const unsigned parent = step & 0x10 ? 3 : 2;
    const auto kind = step & 0x20 ? Heard::Kind::kLease : Heard::Kind::kClaim;
    switch (step & 0xf) {
      case 0:
        learning.update(grounds(guests = who), {}, now);
        break;
      case 1:
        learning.update(grounds(guests), {{parent, mac(what), address(what)}}, now);
        break;
      case 2:
        learning.cannot_hear(parent, mac(who), now + milliseconds(what * 50), now);
        break;
      case 3:
        learning.missed(parent, address(what), now);
        break;
      case 4:
        if (!learning.learned().empty()) learning.refuse(learning.learned().front(), "why", now);
        break;
      case 5:
        if (const auto heard = hear(bytes.take(what))) learning.hear(parent, *heard, now);
        break;
      case 6:
      case 7:
      case 8:
      case 9:
        now += milliseconds(step & 0x20 ? what * 500 : what * 5);
        learning.tick(now);
        fuzz::require(!learning.due() || *learning.due() > now, "nothing is due that was due before");
        break;
      case 10:
        learning.hear(
            parent,
            {Heard::Kind::kQuestion, mac(who), what & 1 ? kHost6 : address(what / 2), *IpAddress::parse("fe80::1")},
            now);
        break;
      default:
        learning.hear(parent, {kind, mac(who), address(what)}, now);
    }
    check(learning, guests);
    check(learning.take());
  }
  return 0;
}
