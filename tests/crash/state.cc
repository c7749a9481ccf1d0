// SPDX-License-Identifier: LGPL-2.1-or-later
#include "tests/crash/state.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/if_addr.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <iterator>
#include <map>
#include <memory>
#include <sstream>
#include <thread>

#include "lib/fd.h"
#include "tests/crash/netlink.h"

namespace vmt::crash {
namespace {

constexpr std::uint32_t kShims = 0x766d7401;  // written down once more: what is tried has to say the same
constexpr std::uint32_t kDevices = 0x766d7402;
constexpr std::uint32_t kDoomed = 0x766d8000;

// Attributes by their path, "26.10.2": statistics, ages, and what the kernel draws at random. On links 30 and 61 are
// the counts; 16 is the state that flags tell, too, and UNKNOWN for up to a second.
const std::set<std::string> kVolatileOfLinks = {"7",  "16",   "23",      "30",      "35",      "47",     "48",
                                                "61", "18.3", "26.10.1", "26.10.3", "26.10.5", "26.10.6"};
const std::set<std::string> kVolatileOfAddresses = {"6", "8"};  // flags are told apart
const std::set<std::string> kVolatileOfRoutes = {"12"};
const std::set<std::string> kVolatileOfNeighbours = {"3", "4"};
const std::set<std::string> kVolatileOfTables = {"2", "3"};

// A device that got no MAC of those that the cases give, 52:54:00:...
bool is_random(Bytes mac, std::uint32_t group) {
  return group != kShims && mac.size() == 6 && !(mac[0] == 0x52 && mac[1] == 0x54 && mac[2] == 0);
}

struct Link {
  std::string name;
  bool ours = false;
};

class Reader {
 public:
  State read() &&;

 private:
  void read_links();
  void read_addresses();
  void read_routes();
  void read_neighbours(std::uint8_t flags);
  void read_neighbour_tables();
  void read_rules_and_namespaces();
  void read_sysctls(const std::string& directory);
  void read_files();

  std::string name_of(std::uint32_t index) const {
    const auto it = links_.find(index);
    return it == links_.end() ? "link " + std::to_string(index) : it->second.name;
  }
  void add(std::uint32_t link, const std::string& line) {
    const auto it = links_.find(link);
    (it != links_.end() && it->second.ours ? state_.ours : state_.foreign).insert(line);
  }
  std::string render(const Message& message, std::size_t header, const std::set<std::string>& without,
                     const std::set<std::string>& links) const {
    return crash::render(message, header, without, links, [&](std::uint32_t index) { return name_of(index); });
  }

  NetlinkSocket socket_;
  std::map<std::uint32_t, Link> links_;
  State state_;
};

// Those that there have been: a node in /dev must not be left behind.
std::set<std::uint32_t>& tap_indices() {
  static std::set<std::uint32_t> indices;
  return indices;
}

void Reader::read_links() {
  const auto messages = socket_.dump(RTM_GETLINK, ifinfomsg{.ifi_family = AF_UNSPEC});
  for (const auto& message : messages) {
    const auto info = message.header<ifinfomsg>();
    const auto attributes = message.attributes(sizeof info);
    Link link{.name = attributes.text(IFLA_IFNAME)};
    const std::uint32_t group = attributes.number(IFLA_GROUP);
    const std::string kind = attributes.nested(IFLA_LINKINFO).text(IFLA_INFO_KIND);
    const bool macvlan = kind == "macvlan" || kind == "macvtap";
    link.ours =
        macvlan && ((group == kShims && kind == "macvlan") || group == kDevices || (group & ~0x7fffU) == kDoomed);
    // The kernel hands out lower ones by itself, and other namespaces have the same.
    if (kind == "macvtap" && info.ifi_index > 1'000'000)
      tap_indices().insert(static_cast<std::uint32_t>(info.ifi_index));
    links_.emplace(info.ifi_index, std::move(link));
  }
  for (const auto& message : messages) {
    const auto info = message.header<ifinfomsg>();
    const auto attributes = message.attributes(sizeof info);
    const auto index = static_cast<std::uint32_t>(info.ifi_index);
    std::set<std::string> inside = {"10"};
    if (!attributes.has(IFLA_LINK_NETNSID)) inside.insert("5");
    std::set<std::string> without = kVolatileOfLinks;
    if (links_.at(index).ours && is_random(attributes.find(IFLA_ADDRESS), attributes.number(IFLA_GROUP)))
      without.insert("1");
    add(index, name_of(index) + " link type " + std::to_string(info.ifi_type) + " flags " + hex(info.ifi_flags) +
                   render(message, sizeof info, without, inside));
    if (!links_.at(index).ours)
      state_.counts.insert(name_of(index) + " promiscuous " + std::to_string(attributes.number(IFLA_PROMISCUITY)) +
                           " allmulticast " + std::to_string(attributes.number(kAllMulticast)));
  }
}

void Reader::read_addresses() {
  for (const auto& message : socket_.dump(RTM_GETADDR, ifaddrmsg{.ifa_family = AF_UNSPEC})) {
    auto info = message.header<ifaddrmsg>();
    auto flags = message.attributes(sizeof info).number(IFA_FLAGS) & ~std::uint32_t{IFA_F_TENTATIVE};
    add(info.ifa_index, name_of(info.ifa_index) + " address /" + std::to_string(info.ifa_prefixlen) + " scope " +
                            std::to_string(info.ifa_scope) + " flags " + hex(flags) +
                            render(message, sizeof info, kVolatileOfAddresses, {}));
  }
}

void Reader::read_routes() {
  for (const auto& message : socket_.dump(RTM_GETROUTE, rtmsg{.rtm_family = AF_UNSPEC})) {
    const auto info = message.header<rtmsg>();
    if (info.rtm_flags & RTM_F_CLONED) continue;
    const auto device = message.attributes(sizeof info).number(RTA_OIF);
    add(device, name_of(device) + " route /" + std::to_string(info.rtm_dst_len) + " table " +
                    std::to_string(info.rtm_table) + " protocol " + std::to_string(info.rtm_protocol) + " scope " +
                    std::to_string(info.rtm_scope) + " type " + std::to_string(info.rtm_type) + " flags " +
                    hex(info.rtm_flags) + render(message, sizeof info, kVolatileOfRoutes, {"3", "4"}));
  }
}

void Reader::read_neighbours(std::uint8_t flags) {
  for (const auto& message : socket_.dump(RTM_GETNEIGH, ndmsg{.ndm_family = AF_UNSPEC, .ndm_flags = flags})) {
    const auto info = message.header<ndmsg>();
    if (info.ndm_family != AF_INET && info.ndm_family != AF_INET6) continue;
    const bool by_somebody = (info.ndm_state & NUD_PERMANENT) || (info.ndm_flags & NTF_PROXY) ||
                             message.attributes(sizeof info).has(NDA_PROTOCOL);
    if (!by_somebody) continue;
    const auto index = static_cast<std::uint32_t>(info.ndm_ifindex);
    add(index, name_of(index) + " neighbour state " + hex(info.ndm_state) + " flags " + hex(info.ndm_flags) +
                   render(message, sizeof info, kVolatileOfNeighbours, {"8"}));
  }
}

void Reader::read_neighbour_tables() {
  for (const auto& message : socket_.dump(RTM_GETNEIGHTBL, ndtmsg{.ndtm_family = AF_UNSPEC})) {
    const auto info = message.header<ndtmsg>();
    const auto attributes = message.attributes(sizeof info);
    const auto parameters = attributes.nested(NDTA_PARMS);
    if (!parameters.has(NDTPA_IFINDEX)) continue;
    const auto index = parameters.number(NDTPA_IFINDEX);
    const std::string text =
        crash::render(parameters, "", kVolatileOfTables, {"1"}, [&](std::uint32_t i) { return name_of(i); });
    add(index, name_of(index) + " neighbour table of " + attributes.text(NDTA_NAME) + text);
  }
}

void Reader::read_rules_and_namespaces() {
  for (const auto& message : socket_.dump(RTM_GETRULE, rtmsg{.rtm_family = AF_UNSPEC}))
    state_.foreign.insert("rule" + render(message, 0, {}, {}));
  for (const auto& message : socket_.dump(RTM_GETNSID, rtgenmsg{.rtgen_family = AF_UNSPEC}))
    state_.foreign.insert("namespace" + render(message, sizeof(rtgenmsg), {}, {}));
}

// Those that are no link's.
void Reader::read_sysctls(const std::string& directory) {
  const std::unique_ptr<DIR, int (*)(DIR*)> entries(opendir(directory.c_str()), closedir);
  if (!entries) return;
  while (const dirent* entry = readdir(entries.get())) {
    const Fd file(openat(dirfd(entries.get()), entry->d_name, O_RDONLY | O_CLOEXEC));
    char value[128];
    const ssize_t size = file ? ::read(file.get(), value, sizeof value) : -1;
    if (size > 0)
      state_.foreign.insert(directory + "/" + entry->d_name + " " + std::string(value, static_cast<std::size_t>(size)));
  }
}

void Reader::read_files() {
  for (const char* path : {"/run/virt-macvtap.lock", "/run/virt-macvtap-watch.lock"}) {
    struct stat found {};
    if (lstat(path, &found) < 0) continue;
    if (!S_ISREG(found.st_mode) || (found.st_mode & 07777) != 0600 || found.st_uid != 0 || found.st_size != 0)
      state_.foreign.insert(std::string(path) + " is not an empty file of root's");
  }
  for (const std::uint32_t index : tap_indices()) {
    const std::string path = "/dev/tap" + std::to_string(index);
    if (!links_.contains(index) && access(path.c_str(), F_OK) == 0) state_.foreign.insert(path + " without a link");
  }
}

State Reader::read() && {
  read_links();
  read_addresses();
  read_routes();
  read_neighbours(0);
  read_neighbours(NTF_PROXY);
  read_neighbour_tables();
  read_rules_and_namespaces();
  for (const char* family : {"ipv4", "ipv6"})
    for (const char* scope : {"all", "default"})
      read_sysctls(std::string("/proc/sys/net/") + family + "/conf/" + scope);
  read_files();
  return std::move(state_);
}

std::vector<std::string> words_of(const std::string& line) {
  std::istringstream text(line);
  return {std::istream_iterator<std::string>(text), {}};
}

// What differs between two words of the same attribute, not all the 500 bytes of a link's sysctls.
std::string compare(const std::string& before, const std::string& now) {
  constexpr std::size_t kLong = 80;
  if (before.size() != now.size() || now.size() <= kLong) return before + " -> " + now;
  std::string text = now.substr(0, now.find('='));
  for (std::size_t i = 0; i < now.size(); ++i)
    if (before[i] != now[i]) text += " [" + std::to_string(i) + "] " + before[i] + " -> " + now[i];
  return text;
}

// Two lines about the same thing, as the words that differ.
std::string compare_lines(const std::string& before, const std::string& now) {
  const auto old_words = words_of(before);
  const auto new_words = words_of(now);
  std::string text = "    ~ " + now.substr(0, now.find(' ', now.find(' ') + 1)) + ":";
  if (old_words.size() != new_words.size()) return text + " " + before + " -> " + now + "\n";
  for (std::size_t i = 0; i < new_words.size(); ++i)
    if (old_words[i] != new_words[i]) text += " " + compare(old_words[i], new_words[i]) + ";";
  return text + "\n";
}

void append_difference(const std::set<std::string>& before, const std::set<std::string>& now, std::string& text) {
  constexpr std::size_t kLines = 12;
  const auto is_link = [](const std::string& line) { return line.find(" link ") != std::string::npos; };
  std::size_t lines = 0;
  for (const auto& line : now) {
    if (before.contains(line) || ++lines > kLines) continue;
    const std::string start = line.substr(0, line.find(' ') + 1);
    const auto old = std::ranges::find_if(before, [&](const auto& l) { return is_link(l) && l.starts_with(start); });
    if (is_link(line) && old != before.end())
      text += compare_lines(*old, line);
    else
      text += "    + " + line + "\n";
  }
  lines = 0;
  for (const auto& line : before) {
    const std::string start = line.substr(0, line.find(' ') + 1);
    const bool compared =
        is_link(line) && std::ranges::any_of(now, [&](const auto& l) { return is_link(l) && l.starts_with(start); });
    if (!now.contains(line) && !compared && ++lines <= kLines) text += "    - " + line + "\n";
  }
}

}  // namespace

State read_state() {
  return Reader().read();
}

bool sleep_a_little() {
  std::this_thread::sleep_for(std::chrono::milliseconds(1));
  return true;
}

State settled_state() {
  constexpr int kAlike = 40;  // readings in a row
  State last = read_state();
  for (int alike = 0; alike < kAlike;) {
    sleep_a_little();
    State now = read_state();
    alike = now == last ? alike + 1 : 0;
    last = std::move(now);
  }
  return last;
}

std::string difference(const State& before, const State& now) {
  std::string text;
  append_difference(before.ours, now.ours, text);
  append_difference(before.foreign, now.foreign, text);
  append_difference(before.counts, now.counts, text);
  return text;
}

}  // namespace vmt::crash
