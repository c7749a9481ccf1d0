// SPDX-License-Identifier: LGPL-2.1-or-later
#include "tests/crash/companion.h"

#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstring>
#include <fstream>

#include "tests/crash/child.h"

namespace vmt::crash {
namespace {

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

constexpr milliseconds kPatience{10'000};
constexpr milliseconds kBetweenFrames{200};
constexpr const char* kNotify = "/run/notify";

Fd guest_tap;

std::string mac_of(int tap) {
  ifreq request{};
  if (ioctl(tap, SIOCGIFHWADDR, &request) < 0) return "none";
  const auto* bytes = reinterpret_cast<const unsigned char*>(request.ifr_hwaddr.sa_data);
  char text[18];
  std::snprintf(text, sizeof text, "%02x:%02x:%02x:%02x:%02x:%02x", bytes[0], bytes[1], bytes[2], bytes[3], bytes[4],
                bytes[5]);
  return text;
}

std::array<unsigned char, 6> bytes_of(const std::string& mac) {
  std::array<unsigned char, 6> bytes{};
  std::sscanf(mac.c_str(), "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", &bytes[0], &bytes[1], &bytes[2], &bytes[3], &bytes[4],
              &bytes[5]);
  return bytes;
}

// A gratuitous ARP request: "192.0.2.61 is at MAC".
void announce(int tap, const std::string& mac) {
  std::array<unsigned char, 42> frame{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0,   0, 8, 6,
                                      0,    1,    8,    0,    6,    4,    0, 1, 0, 0, 0,   0, 0, 0,
                                      192,  0,    2,    61,   0,    0,    0, 0, 0, 0, 192, 0, 2, 61};
  const auto bytes = bytes_of(mac);
  std::memcpy(frame.data() + 6, bytes.data(), bytes.size());
  std::memcpy(frame.data() + 22, bytes.data(), bytes.size());
  [[maybe_unused]] const ssize_t written = ::write(tap, frame.data(), frame.size());
}

Fd receive_fd(int socket) {
  char byte = 0;
  iovec data{&byte, 1};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  const ssize_t size = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
  const cmsghdr* header = CMSG_FIRSTHDR(&message);
  int fd = -1;
  if (size == 1 && header != nullptr && header->cmsg_type == SCM_RIGHTS) std::memcpy(&fd, CMSG_DATA(header), sizeof fd);
  return Fd(fd);
}

bool readable(int fd, milliseconds patience) {
  pollfd waiting{.fd = fd, .events = POLLIN, .revents = 0};
  return poll(&waiting, 1, static_cast<int>(patience.count())) == 1;
}

class Qemu : public Companion {
 public:
  explicit Qemu(std::string mac) : mac_(std::move(mac)) {
    std::array<int, 2> ends{};
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) < 0) die("make a pair of sockets");
    ours_ = Fd(ends[0]);
    its_ = Fd(ends[1]);
  }
  void prepare(Program& program) override { program.fds.emplace_back(its_.get(), 3); }

 protected:
  void started() override { its_ = Fd(); }

  void act(pid_t) override {
    while (!readable(ours_.get(), milliseconds(5)))
      if (over()) return;
    const Fd tap = receive_fd(ours_.get());
    if (!tap) return;
    const auto deadline = Clock::now() + kPatience;
    while (mac_of(tap.get()) != mac_ && !over() && Clock::now() < deadline) {
      announce(tap.get(), mac_);
      for (int i = 0; i < 20 && mac_of(tap.get()) != mac_ && !over(); ++i) sleep_a_little();
    }
    seen_ = "tap " + mac_of(tap.get());
  }

 private:
  std::string mac_;
  Fd ours_, its_;
};

class ServiceManager : public Companion {
 public:
  ServiceManager(Reached reached, bool guest_speaks) : reached_(std::move(reached)), guest_speaks_(guest_speaks) {
    ::unlink(kNotify);
    sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
    std::strcpy(address.sun_path, kNotify);
    socket_ = Fd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    if (bind(socket_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) < 0) die("make /run/notify");
  }
  void prepare(Program& program) override { program.environment.push_back(std::string("NOTIFY_SOCKET=") + kNotify); }

 protected:
  void act(pid_t pid) override {
    const auto ready_by = Clock::now() + kPatience;
    while (!readable(socket_.get(), milliseconds(5))) {
      if (over()) return;
      // Nobody said so in time: it is ended, to be started anew.
      if (Clock::now() > ready_by) {
        kill(pid, SIGTERM);
        return;
      }
    }
    const auto deadline = Clock::now() + kPatience;
    auto next_word = Clock::now();
    while (!over() && Clock::now() < deadline && !reached_(read_state())) {
      if (guest_speaks_ && Clock::now() >= next_word) {
        announce(guest_tap.get(), "52:54:00:12:34:56");
        next_word += kBetweenFrames;
      }
      sleep_a_little();
    }
    if (!over()) kill(pid, SIGTERM);
  }

 private:
  Reached reached_;
  bool guest_speaks_;
  Fd socket_;
};

}  // namespace

void Companion::start(pid_t pid) {
  started();
  thread_ = std::thread([this, pid] { act(pid); });
}

std::string Companion::finish() {
  over_ = true;
  if (thread_.joinable()) thread_.join();
  return seen_;
}

std::unique_ptr<Companion> qemu(const std::string& mac) {
  return std::make_unique<Qemu>(mac);
}

std::unique_ptr<Companion> service_manager(const Reached& reached, bool guest_speaks) {
  return std::make_unique<ServiceManager>(reached, guest_speaks);
}

void open_guest_tap() {
  unsigned index = 0;
  std::ifstream("/sys/class/net/macvtap0/ifindex") >> index;
  unsigned major_number = 0, minor_number = 0;
  char colon = 0;
  std::ifstream("/sys/class/net/macvtap0/tap" + std::to_string(index) + "/dev") >> major_number >> colon >>
      minor_number;
  ::unlink("/run/tap");
  if (mknod("/run/tap", S_IFCHR | 0600, makedev(major_number, minor_number)) < 0) die("make the guest's tap");
  guest_tap = Fd(open("/run/tap", O_RDWR | O_CLOEXEC));
  ifreq request{};
  request.ifr_flags = IFF_TAP | IFF_NO_PI;
  if (!guest_tap || ioctl(guest_tap.get(), TUNSETIFF, &request) < 0) die("open the guest's tap");
}

int probe(int tap) {
  std::printf("tap %s\n", mac_of(tap).c_str());
  return 0;
}

}  // namespace vmt::crash
