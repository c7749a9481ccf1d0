// SPDX-License-Identifier: LGPL-2.1-or-later
#include "tests/model/host.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <stdexcept>
#include <vector>

#include "lib/fd.h"

namespace vmt::model {
namespace {

using nlohmann::json;

constexpr unsigned kOurShims = 0x766d7401, kOurDevices = 0x766d7402;

std::string text_of(const Fd& file) {
  std::string text;
  std::array<char, 4096> buffer;
  lseek(file.get(), 0, SEEK_SET);
  for (ssize_t got; (got = read(file.get(), buffer.data(), buffer.size())) > 0;)
    text.append(buffer.data(), static_cast<std::size_t>(got));
  return text;
}

// One process for each family, as this runs after every step. Links first and last, as some may come and go meanwhile.
const std::string kShow =
    "ip -4 -d -j -batch - <<'.' && ip -6 -d -j -batch - <<'.'\nlink show\naddr show\nroute show table all\nneigh show "
    "nud permanent\nneigh show proxy\nrule show\n.\naddr show\nroute show table all\nneigh show nud "
    "permanent\nneigh show proxy\nrule show\nlink show\n.\n";

// The documents that the lines above print, in order.
std::vector<json> show() {
  const Output shown = run(kShow);
  if (shown.status != 0) throw std::runtime_error("ip: " + shown.err);
  std::vector<json> documents;
  std::istringstream lines(shown.out);
  for (std::string line; std::getline(lines, line);)
    if (!line.empty()) documents.push_back(json::parse(line));
  if (documents.size() != 12) throw std::runtime_error("ip has said something else: " + shown.out);
  return documents;
}

bool is_macvlan(const json& link) {
  const std::string kind = link.value("/linkinfo/info_kind"_json_pointer, "");
  return kind == "macvlan" || kind == "macvtap";
}

// `ip` prints the number of a group that /etc/iproute2/group does not name.
bool is_ours(const json& link, unsigned group) {
  return is_macvlan(link) && link.value("group", "") == std::to_string(group);
}

// The kernel makes these by itself, when a link's carrier comes, some time later.
bool is_link_local(const std::string& address) {
  return address.starts_with("fe80:") || address.starts_with("ff00:");
}

// What changes by itself, or because a device of anybody's comes and goes.
json without_passing_state(json object, bool keep_counts) {
  for (const char* key : {"operstate", "stats64"}) object.erase(key);
  for (const char* key : {"promiscuity", "allmulti"})
    if (!keep_counts) object.erase(key);
  if (const auto flags = object.find("flags"); flags != object.end() && flags->is_array()) {
    json lasting = json::array();
    for (const std::string flag : *flags)
      if (flag == "UP" || flag == "ALLMULTI" || flag == "PROMISC" || flag == "NOARP") lasting.push_back(flag);
    *flags = lasting;
  }
  if (const auto addresses = object.find("addr_info"); addresses != object.end()) {
    json lasting = json::array();
    for (const auto& address : *addresses)
      if (!is_link_local(address.value("local", ""))) lasting.push_back(address);
    *addresses = lasting;
    for (auto& address : *addresses)
      for (const char* key : {"valid_life_time", "preferred_life_time", "tentative"}) address.erase(key);
  }
  return object;
}

Dump dump(bool with_ours) {
  constexpr std::array kWhat = {"link",  "addr4",  "route4", "neigh4", "proxy4", "rule4",
                                "addr6", "route6", "neigh6", "proxy6", "rule6"};
  const auto documents = show();
  std::set<std::string> ours;
  for (const auto* links : {&documents.front(), &documents.back()})
    for (const auto& link : *links)
      if (!with_ours && (is_ours(link, kOurShims) || is_ours(link, kOurDevices))) ours.insert(link.at("ifname"));
  Dump lines;
  for (std::size_t i = 0; i < kWhat.size(); ++i)
    for (const auto& object : documents[i]) {
      if (ours.contains(object.value("dev", object.value("ifname", "")))) continue;
      if (is_link_local(object.value("dst", ""))) continue;
      const json lasting = without_passing_state(object, with_ours);
      if (lasting.contains("addr_info") && lasting["addr_info"].empty()) continue;
      lines.insert(fmt::format("{}: {}", kWhat[i], lasting.dump()));
    }
  return lines;
}

}  // namespace

const ParentPlan kPlans[kParents] = {
    {"eth0", "lan0", "52:54:00:ee:00:10", "192.0.2.", "2001:db8:1::"},
    {"eth1", "lan1", "52:54:00:ee:01:10", "198.51.100.", "2001:db8:2::"},
    {"eth2", "lan2", "52:54:00:ee:02:10", "203.0.113.", ""},
};

Output run(const std::string& command) {
  const Fd out(memfd_create("out", MFD_CLOEXEC)), err(memfd_create("err", MFD_CLOEXEC));
  const pid_t child = fork();
  if (child == 0) {
    const Fd null(open("/dev/null", O_RDONLY | O_CLOEXEC));
    dup2(null.get(), STDIN_FILENO);
    dup2(out.get(), STDOUT_FILENO);
    dup2(err.get(), STDERR_FILENO);
    execl("/bin/sh", "sh", "-c", command.c_str(), nullptr);
    _exit(127);
  }
  int status = 0;
  if (child < 0 || waitpid(child, &status, 0) != child) throw std::runtime_error("cannot run anything");
  return {.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status),
          .out = text_of(out),
          .err = text_of(err)};
}

void must(const std::string& command) {
  const Output result = run(command);
  if (result.status != 0) throw std::runtime_error(fmt::format("{}: {}", command, result.err));
}

void write_file(const std::string& path, const std::string& text) {
  std::ofstream(path + ".new") << text;
  if (rename((path + ".new").c_str(), path.c_str()) != 0) throw std::runtime_error("cannot write " + path);
}

void enter_host() {
  if (unshare(CLONE_NEWNET | CLONE_NEWNS) != 0) throw std::runtime_error("network namespaces need root");
  must(
      "mount --make-rprivate / && mount -t sysfs sysfs /sys && mount -t tmpfs tmpfs /run && mkdir -p /run/etc/upper "
      "/run/etc/work /run/libvirt/qemu && mount -t overlay -o "
      "lowerdir=/etc,upperdir=/run/etc/upper,workdir=/run/etc/work overlay /etc && rm -f /etc/virt-macvtap.conf");
  must(
      "for i in all default; do echo 0 >/proc/sys/net/ipv6/conf/$i/accept_dad; done; ip link set lo up && ip netns add "
      "lan");
  for (unsigned i = 0; i < kParents; ++i) {
    const auto& plan = kPlans[i];
    must(fmt::format("ip link add {0} address {1} type veth peer name {0} netns lan && ip -n lan link set {0} up",
                     plan.name, plan.mac));
    reset_parent(i);
  }
}

std::string parent_name(unsigned parent) {
  const auto& plan = kPlans[parent];
  return access(fmt::format("/sys/class/net/{}", plan.renamed).c_str(), F_OK) == 0 ? plan.renamed : plan.name;
}

void reset_parent(unsigned parent) {
  const auto& plan = kPlans[parent];
  const std::string name = parent_name(parent);
  // Down and up again: the kernel orders what is on it by when it came.
  std::string commands =
      fmt::format("ip -n lan link set {0} up; ip link set {1} down; ip addr flush dev {1}; ", plan.name, name);
  if (name != plan.name) commands += fmt::format("ip link set {} name {}; ", name, plan.name);
  commands += fmt::format("ip link set {} up; ", plan.name);
  if (*plan.v4) commands += fmt::format("ip addr add {}10/24 dev {} || exit; ", plan.v4, plan.name);
  if (*plan.v6) commands += fmt::format("ip addr add {}10/64 dev {} nodad || exit; ", plan.v6, plan.name);
  if (parent == 0)
    commands += fmt::format("ip route add default via {0}1 && ip -6 route add default via {1}1 dev {2} || exit; ",
                            plan.v4, plan.v6, plan.name);
  must(commands);
}

Dump dump_foreign() {
  return dump(false);
}

Dump dump_all() {
  Dump lines = dump(true);
  const Output sysctls = run(
      "cd /proc/sys/net && grep -r . ipv4/conf ipv4/neigh ipv6/conf ipv6/neigh 2>/dev/null | grep -v stable_secret");
  std::istringstream text(sysctls.out);
  for (std::string line; std::getline(text, line);) lines.insert("sysctl: " + line);
  return lines;
}

std::string difference(const Dump& before, const Dump& after) {
  std::string text;
  for (const auto& line : before)
    if (!after.contains(line)) text += "- " + line + "\n";
  for (const auto& line : after)
    if (!before.contains(line)) text += "+ " + line + "\n";
  return text;
}

}  // namespace vmt::model
