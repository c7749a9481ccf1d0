// SPDX-License-Identifier: LGPL-2.1-or-later
// At which addresses are the guests, and when does one have its first?
#include "helper/cli/addresses.h"

#include <fmt/core.h>

#include <algorithm>
#include <boost/program_options/value_semantic.hpp>
#include <charconv>
#include <chrono>

#include "helper/cli/command.h"
#include "helper/cli/libvirt_guests.h"
#include "helper/cli/links.h"
#include "helper/cli/process_name.h"
#include "lib/rtnl_monitor.h"
#include "lib/tap_holders.h"
#include "lib/text.h"

namespace po = boost::program_options;

namespace vmt::cli {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr std::string_view kAbout =
    R"(Shows the guests' addresses, or DOMAIN's (a name or UUID): those that are written down (given), those that the watcher has
heard of (learned), and those that `host up` was told (manual); since when, and what keeps the host from talking to one.
`virsh domifaddr` cannot tell them for a direct interface. Changes nothing. An ordinary user sees no guests in other
namespaces. Names come from libvirt; of a guest that it does not know, from the process that has the tap open, which may
call itself anything. When libvirt does not answer, DOMAIN is looked for among the processes' names.

With --wait it returns as soon as there is an address in state "ok", of DOMAIN if one is named, which need not run yet.

  virt-macvtap addresses web --wait 60 --json | jq -r '[.[] | select(.state == "ok")][0].address'

States: ok; down (the macvtap or its parent); no carrier (of the parent); not set up, needs sync, no route, no source,
old source (`virt-macvtap sync` mends these); gone (no macvtap has the MAC any more);
unknown (an ordinary user may not see the device).
Exit status: 1 when libvirt runs no such DOMAIN, or the SECONDS have passed.
)";

// The kernel is looked at, and libvirt and /proc are asked for names, this often at most, however much happens.
constexpr milliseconds kLookPause{20};
constexpr milliseconds kNamesPause{200};
constexpr milliseconds kLeastPatience{1000};  // with libvirt, close to the deadline

struct Asked {
  std::string domain;
  std::optional<Uuid> uuid;  // `domain`, read as one

  bool is(const std::string& name, const std::optional<Uuid>& its_uuid) const {
    return name == domain || (uuid && its_uuid == uuid);
  }
};

// A plain number: what a shell or a person writes.
std::optional<milliseconds> parse_seconds(const std::string& text) {
  constexpr double kMost = 86400;
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, std::chars_format::fixed);
  if (error != std::errc{} || end != text.data() + text.size() || !(value > 0 && value <= kMost)) return std::nullopt;
  return std::chrono::ceil<milliseconds>(std::chrono::duration<double>(value));
}

bool is_ok(const AddressRow& row) {
  return row.state == "ok";
}

class Observer {
 public:
  Observer(RtnlKernel kernel, std::string uri, Config config, std::optional<Asked> asked)
      : kernel_(std::move(kernel)), uri_(std::move(uri)), asked_(std::move(asked)) {
    question_.config = std::move(config);
  }

  // Asks libvirt and, for guests that it does not know, the processes.
  Status learn_names(milliseconds patience) {
    auto running = running_guests(uri_, patience);
    libvirt_error_ = running ? std::nullopt : std::optional(running.error().message);
    question_.guests = running ? std::move(running->guests) : std::vector<Guest>{};
    auto holders = TapHolders::scan();
    if (!holders) return fail(holders.error());
    holders_.emplace(std::move(*holders));
    names_at_ = Clock::now();
    news_since_names_ = false;
    return {};
  }

  Status look() {
    HostStatus host{.libvirt_uri = {}, .libvirt_error = {}, .parents = {}, .health = {}};
    if (auto status = gather(kernel_, question_, host); !status) return status;
    complete_ = host.complete;
    rows_ = address_rows(host, question_, [&](const Child& link) { return name_of(link); });
    open_ = std::ranges::any_of(
        rows_, [&](const AddressRow& row) { return is_ok(row) && (asked_ ? !is_asked_for(row) : !row.is_libvirts); });
    if (asked_) std::erase_if(rows_, [&](const AddressRow& row) { return !is_asked_for(row); });
    looked_at_ = Clock::now();
    return {};
  }

  // Until there is an address in state ok or the time is up; every look but the first has an event as its reason.
  std::expected<bool, Error> wait(RtnlMonitor& monitor, Clock::time_point deadline) {
    for (;;) {
      if (auto status = look(); !status) return fail(status.error());
      const bool done = std::ranges::any_of(rows_, is_ok);
      if (done && (asked_ || !open_)) return true;
      Clock::time_point wake = deadline;
      // Its guest may not have been there when libvirt was asked.
      if (open_ && news_since_names_) {
        const auto next = names_at_ + kNamesPause;
        if (done || Clock::now() >= next) {
          if (auto status = learn_names(patience_until(deadline)); !status) return fail(status.error());
          continue;
        }
        wake = std::min(wake, next);
      } else if (done) {
        return true;
      }
      const bool news = monitor.wait(wake);
      news_since_names_ = news_since_names_ || news;
      if (!news && Clock::now() >= deadline) return false;
      // What comes in bursts (a neighbour and its route) is looked at once.
      while (news && monitor.wait(std::min(deadline, looked_at_ + kLookPause))) {
      }
    }
  }

  static milliseconds patience_until(Clock::time_point deadline) {
    const auto left = std::chrono::ceil<milliseconds>(deadline - Clock::now());
    return std::clamp<milliseconds>(left, kLeastPatience, kLibvirtPatience);
  }

  // Why there can be nothing: libvirt answers and does not run it.
  std::optional<std::string> why_unknown() const {
    const bool known = !asked_ || libvirt_error_ || std::ranges::any_of(question_.guests, [&](const Guest& guest) {
      return asked_->is(guest.name, guest.uuid);
    });
    if (known) return std::nullopt;
    return fmt::format("libvirt at {} runs no domain {} with a direct interface", uri_, quoted(asked_->domain));
  }
  const std::optional<std::string>& libvirt_error() const { return libvirt_error_; }
  const std::vector<AddressRow>& rows() const { return rows_; }
  bool complete() const { return complete_; }

 private:
  std::optional<std::string> name_of(const Child& link) const {
    const auto found = holders_ ? holders_->of(link) : std::vector<TapHolder>{};
    return found.empty() ? std::nullopt : std::optional(guest_name_of(found.front()));
  }

  // While libvirt answers, its word alone counts: anybody can call a process like somebody else's guest.
  bool is_asked_for(const AddressRow& row) const {
    return (row.is_libvirts || libvirt_error_) && row.domain && asked_->is(*row.domain, row.uuid);
  }

  RtnlKernel kernel_;
  std::string uri_;
  std::optional<Asked> asked_;
  Question question_{.parent = {}, .guests = {}, .config = {}};
  std::optional<std::string> libvirt_error_;
  std::optional<TapHolders> holders_;
  std::vector<AddressRow> rows_;
  bool complete_ = true;
  bool open_ = false;  // an address in state ok that newer names may say more about
  bool news_since_names_ = false;
  Clock::time_point names_at_;
  Clock::time_point looked_at_;
};

void print(const Observer& observer, bool json) {
  fmt::print("{}", json ? addresses_json(observer.rows()) + "\n" : addresses_table(observer.rows()));
  if (!observer.complete()) warn(kIncomplete);
}

int show(Observer& observer, const std::optional<Asked>& asked, bool json) {
  if (auto status = observer.learn_names(kLibvirtPatience); !status) return report(status.error());
  if (const auto why = observer.why_unknown()) {
    warn(*why);
    return kFailed;
  }
  if (auto status = observer.look(); !status) return report(status.error());
  print(observer, json);
  if (asked && observer.rows().empty() && observer.libvirt_error()) warn(*observer.libvirt_error());
  return kFine;
}

int show_when_ready(Observer& observer, const std::optional<Asked>& asked, milliseconds patience, bool json) {
  const auto deadline = Clock::now() + patience;
  // Before the first look, so that nothing happens unheard between the two.
  auto monitor = RtnlMonitor::open(RtnlMonitor::Of::kAll);
  if (!monitor) return report(monitor.error());
  if (auto status = observer.learn_names(Observer::patience_until(deadline)); !status) return report(status.error());
  const auto ready = observer.wait(*monitor, deadline);
  if (!ready) return report(ready.error());
  print(observer, json);
  if (*ready) return kFine;
  warn(fmt::format("no address {} within {} s", asked ? "of " + quoted(asked->domain) : std::string("of a guest"),
                   std::chrono::duration<double>(patience).count()));
  return kFailed;
}

}  // namespace

int run_addresses(const Command& command, const Words& words) {
  Syntax syntax{.most = 1, .about = kAbout};
  syntax.options.add_options()("wait", po::value<std::string>()->value_name("SECONDS"),
                               "until there is one; up to 86400, fractions allowed")("json", po::bool_switch(),
                                                                                     "for programs");
  add_guest_options(syntax.options);
  const auto arguments = parse(command, syntax, words);
  if (!arguments) return arguments.error();
  std::optional<milliseconds> patience;
  if (arguments->options.count("wait")) {
    const auto& text = arguments->options["wait"].as<std::string>();
    patience = parse_seconds(text);
    if (!patience)
      return misused(command.name, fmt::format("--wait {}: not a number above 0 and up to 86400", quoted(text)));
  }
  std::optional<Asked> asked;
  if (!arguments->rest.empty()) {
    const auto uuid = Uuid::parse(arguments->rest.front());
    asked = Asked{.domain = arguments->rest.front(), .uuid = uuid ? std::optional(*uuid) : std::nullopt};
  }
  auto config = config_of(*arguments);
  if (!config) warn(config.error().message + "; the defaults are used until it is mended");
  auto kernel = RtnlKernel::open();
  if (!kernel) return report(kernel.error());
  Observer observer(std::move(*kernel), arguments->options["connect"].as<std::string>(),
                    config ? std::move(*config) : Config{}, asked);
  const bool json = arguments->options["json"].as<bool>();
  return patience ? show_when_ready(observer, asked, *patience, json) : show(observer, asked, json);
}

}  // namespace vmt::cli
