// SPDX-License-Identifier: LGPL-2.1-or-later
// A host with guests, libvirt's and others, whose addresses are known. What the watcher would have learned is made by
// hand, with the tags of lib/tag.h.
#pragma once

#include <signal.h>
#include <sys/types.h>

#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "lib/rtnl_kernel.h"
#include "tests/netns/device_cli.h"

namespace vmt {

inline const std::string kWebMac = "52:54:00:12:34:56";
inline const std::string kDbMac = "52:54:00:12:34:57";
inline const std::string kUuid = "11111111-2222-3333-4444-555555555555";

class AddressesTest : public DeviceCliTest {
 protected:
  void SetUp() override {
    DeviceCliTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    kernel_ = std::make_unique<RtnlKernel>(std::move(*RtnlKernel::open()));
    eth0_ = **kernel_->index_of(*IfName::parse("eth0"));
    shim_ = shim_name(eth0_).str();
    write_node("192.0.2.61");
  }

  // libvirt, which runs "web" on eth0, at these addresses.
  static void write_node(const std::string& given) {
    std::ofstream("/run/node.xml")
        << "<node><domain type='test'><name>web</name><uuid>" + kUuid +
               "</uuid><metadata><v:host-access xmlns:v='urn:virt-macvtap:host-access:1'><v:nic mac='" + kWebMac +
               "'><v:address>" + given +
               "</v:address></v:nic></v:host-access></metadata><memory>1024</memory><os><type "
               "arch='i686'>hvm</type></os>"
               "<devices><interface type='direct'><mac address='" +
               kWebMac +
               "'/><source dev='eth0' mode='bridge'/></interface></devices></domain><cpu><mhz>1</mhz><model>x</model>"
               "<active>1</active><nodes>1</nodes><sockets>1</sockets><cores>1</cores><threads>1</threads></cpu>"
               "<memory>1000000</memory></node>";
  }
  static void add_macvtap(const std::string& name, const std::string& mac) {
    sh("ip link add link eth0 name " + name + " address " + mac + " type macvtap mode bridge && ip link set " + name +
       " up");
  }
  void make_shim() {
    ASSERT_TRUE(kernel_->apply(CreateShim{eth0_, *IfName::parse("eth0"), *MacAddress::parse("52:54:00:aa:bb:cc")}));
    ASSERT_TRUE(kernel_->apply(AddProxy{eth0_, *IpAddress::parse("2001:db8:1::10")}));
    ASSERT_TRUE(kernel_->apply(FinishShim{eth0_, ShimRole::kGuests}));
  }
  std::string pin(const std::string& address, const std::string& mac, int protocol = 120) const {
    return "ip neigh add " + address + " lladdr " + mac + " dev " + shim_ + " nud permanent protocol " +
           std::to_string(protocol) + " && ip route add " + address + " dev " + shim_ + " src 192.0.2.10 proto 118";
  }
  static nlohmann::json addresses(const std::string& words = "--connect test:///run/node.xml") {
    return nlohmann::json::parse(output_of("{ " + kCli + "addresses --json " + words + " 2>/dev/null; }"));
  }
  static std::vector<std::string> health() {
    const nlohmann::json status =
        nlohmann::json::parse(output_of(kCli + "status --json --connect test:///run/node.xml 2>/dev/null"));
    std::vector<std::string> findings;
    for (const auto& parent : status["parents"])
      for (const auto& finding : parent["health"]) findings.push_back(finding);
    return findings;
  }

  // A guest that libvirt does not know: QEMU by hand, in all but what it does. Until the test ends.
  class ByHand {
   public:
    explicit ByHand(const std::string& mac, const std::string& name = "by-hand") {
      sh(kCli + "exec --nic parent=eth0,mac=" + mac +
         " -- sh -c 'mkfifo /run/never; echo $$ >/run/by-hand; read line <>/run/never' qemu -name "
         "guest=" +
         name +
         ",debug-threads=on fd={0.fd} & "
         "for i in $(seq 500); do test -s /run/by-hand && exit 0; sleep 0.01; done; exit 1");
    }
    ~ByHand() {
      std::ifstream file("/run/by-hand");
      pid_t pid = 0;
      if (file >> pid && pid > 0) kill(pid, SIGKILL);
    }
  };

  std::unique_ptr<RtnlKernel> kernel_;
  unsigned eth0_ = 0;
  std::string shim_;
};

}  // namespace vmt
