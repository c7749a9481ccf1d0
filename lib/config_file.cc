// SPDX-License-Identifier: LGPL-2.1-or-later
#include "lib/config_file.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/stat.h>

#include <boost/program_options.hpp>
#include <cerrno>
#include <charconv>
#include <set>
#include <sstream>

#include "lib/algorithm.h"
#include "lib/fd.h"
#include "lib/text.h"

namespace vmt {
namespace {

namespace po = boost::program_options;

constexpr std::size_t kMaxConfig = 1024 * 1024;

std::vector<std::string_view> words(std::string_view list) {
  constexpr std::string_view kSeparators = " \t,";
  std::vector<std::string_view> result;
  while (!list.empty()) {
    const auto first = list.find_first_not_of(kSeparators);
    if (first == std::string_view::npos) break;
    list.remove_prefix(first);
    const auto end = std::min(list.find_first_of(kSeparators), list.size());
    result.push_back(list.substr(0, end));
    list.remove_prefix(end);
  }
  return result;
}

std::expected<bool, Error> yes_or_no(std::string_view value) {
  if (value == "yes") return true;
  if (value == "no") return false;
  return fail(invalid(fmt::format("{} is neither 'yes' nor 'no'", quoted(value))));
}

std::expected<LearnMode, Error> learn_mode(std::string_view value) {
  if (value == "yes") return LearnMode::kYes;
  if (value == "no") return LearnMode::kNo;
  if (value == "strict") return LearnMode::kStrict;
  return fail(invalid(fmt::format("{} is neither 'yes' nor 'no' nor 'strict'", quoted(value))));
}

std::expected<unsigned, Error> count(std::string_view value) {
  unsigned number = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
  if (error != std::errc{} || end != value.data() + value.size() || number < 1 || number > kMostAddresses)
    return fail(invalid(fmt::format("{} is no number from 1 to {}", quoted(value), kMostAddresses)));
  return number;
}

// "guest web" + "52:54:..." out of Boost's "guest web.52:54:...": no key has a dot (check_dots), a section's name may.
struct Key {
  std::string_view section, name;
};

Key split(std::string_view joined) {
  const auto dot = joined.rfind('.');
  if (dot == std::string_view::npos) return {{}, joined};
  return {joined.substr(0, dot), joined.substr(dot + 1)};
}

class Reader {
 public:
  Config take() && { return std::move(config_); }

  Status read(std::string_view joined, std::string_view value) {
    const auto [section, name] = split(joined);
    if (!seen_.emplace(joined).second) return twice(name);
    if (section.empty()) return read_general(name, value);
    const auto blank = section.find_first_of(" \t");
    const std::string_view kind = section.substr(0, blank);
    const std::string_view subject =
        blank == std::string_view::npos ? std::string_view{} : trimmed(section.substr(blank));
    if (kind == "parent") return read_parent(subject, name, value);
    if (kind == "guest" && !subject.empty()) return read_guest(subject, name, value);
    return fail(
        invalid(fmt::format("unknown section {}: it is [parent NAME] or [guest NAME-OR-UUID]", quoted(section))));
  }

 private:
  template <typename To, typename Value>
  static Status set(To& to, std::expected<Value, Error> value) {
    if (!value) return fail(value.error());
    to = *value;
    return {};
  }

  // A section has several spellings: "[parent  eth0]", a UUID in upper case.
  template <typename Value>
  static Status set_once(std::optional<Value>& to, std::string_view name, std::expected<Value, Error> value) {
    if (to) return twice(name);
    return set(to, std::move(value));
  }
  static std::unexpected<Error> twice(std::string_view name) {
    return fail(invalid(fmt::format("{} is set twice", quoted(name))));
  }

  Status read_general(std::string_view name, std::string_view value) {
    if (name == "host-access") return set(config_.host_access, yes_or_no(value));
    if (name == "learn") return set(config_.learn, learn_mode(value));
    if (name == "max-addresses") return set(config_.max_addresses, count(value));
    return fail(invalid(fmt::format("unknown key {}", quoted(name))));
  }

  Status read_parent(std::string_view subject, std::string_view name, std::string_view value) {
    auto parent = IfName::parse(subject);
    if (!parent) return fail(parent.error());
    ParentConfig& entry = config_.parents[*parent];
    if (name == "host-access") return set_once(entry.host_access, name, yes_or_no(value));
    if (name == "learn") return set_once(entry.learn, name, learn_mode(value));
    if (name != "address") return fail(invalid(fmt::format("unknown key {} for a parent", quoted(name))));
    if (!entry.addresses.empty()) return twice(name);
    for (const auto word : words(value)) {
      auto prefix = IpPrefix::parse(word);
      if (!prefix) return fail(prefix.error());
      entry.addresses.push_back(*prefix);
    }
    if (entry.addresses.empty()) return fail(invalid("an address is missing"));
    return check_shim_addresses(entry.addresses);
  }

  Status read_guest(std::string_view subject, std::string_view name, std::string_view value) {
    const auto uuid = Uuid::parse(subject);
    GuestConfig& entry = config_.guests[uuid ? uuid->str() : std::string(subject)];
    if (name == "learn") return set_once(entry.learn, name, learn_mode(value));
    auto mac = MacAddress::parse(name);
    if (!mac) return fail(mac.error());
    GivenAddresses given{*mac, {}};
    for (const auto word : words(value)) {
      auto address = IpAddress::parse(word);
      if (!address) return fail(address.error());
      if (const auto why = address->why_not_a_guests(); !why.empty())
        return fail(invalid(fmt::format("address {} {}", address->str(), why)));
      if (!given_.insert(*address).second)
        return fail(invalid(fmt::format("address {} is given twice", address->str())));
      given.addresses.push_back(*address);
    }
    if (given.addresses.empty()) return fail(invalid("an address is missing"));
    if (contains(entry.given, *mac, &GivenAddresses::mac))
      return fail(invalid(fmt::format("MAC {} is set twice", mac->str())));
    entry.given.push_back(std::move(given));
    return {};
  }

  Config config_;
  std::set<std::string, std::less<>> seen_;
  std::set<IpAddress> given_;
};

// Boost joins section and key by a dot, so a key's own would lead into another section: "x.learn" under [parent eth0]
// to eth0.x. A section's last dot it takes for the one that joins.
Status check_dots(std::string_view text, std::string_view file) {
  for (int line = 1; !text.empty(); ++line) {
    const auto end = std::min(text.find('\n'), text.size());
    const auto content = trimmed(text.substr(0, std::min(end, text.find('#'))));
    text.remove_prefix(std::min(end + 1, text.size()));
    const auto key = trimmed(content.substr(0, content.find('=')));
    const bool is_section = content.starts_with('[') && content.ends_with(']');
    if (is_section ? content.ends_with(".]") : key.find('.') != std::string_view::npos)
      return fail(invalid(fmt::format("{}:{}: a dot in {}", file, line, quoted(is_section ? content : key))));
  }
  return {};
}

// Boost tells neither the line of an option nor that of a syntax error, so lines are counted here, by Boost's own
// rules: '#' ends a line, blank lines and [sections] carry no option. `wanted` counts options from 0.
int line_of_option(std::string_view text, std::size_t wanted) {
  int line = 0;
  for (std::size_t options = 0; !text.empty();) {
    ++line;
    const auto end = std::min(text.find('\n'), text.size());
    const auto content = trimmed(text.substr(0, std::min(end, text.find('#'))));
    text.remove_prefix(std::min(end + 1, text.size()));
    if (content.empty() || (content.starts_with('[') && content.ends_with(']'))) continue;
    const auto equals = content.find('=');
    if (options++ == wanted || equals == std::string_view::npos) return line;
  }
  return line;
}

}  // namespace

std::expected<Config, Error> parse_config(std::string_view text, std::string_view file) {
  std::istringstream stream{std::string(text)};
  po::parsed_options parsed(nullptr);
  const auto at = [&](std::size_t option, std::string_view what) {
    return fail(invalid(fmt::format("{}:{}: {}", file, line_of_option(text, option), what)));
  };
  try {
    parsed = po::parse_config_file(stream, po::options_description{}, true);
  } catch (const po::error& error) {
    return at(std::string_view::npos, "neither [SECTION] nor KEY = VALUE");
  }
  if (auto status = check_dots(text, file); !status) return fail(status.error());
  Reader reader;
  for (std::size_t i = 0; i < parsed.options.size(); ++i) {
    const auto& option = parsed.options[i];
    const std::string value = option.value.empty() ? std::string{} : option.value.front();
    if (auto status = reader.read(option.string_key, trimmed(value)); !status) return at(i, status.error().message);
  }
  return std::move(reader).take();
}

std::expected<Config, Error> read_config(const char* path) {
  const Fd file(::open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!file && errno == ENOENT) return Config{};
  const auto operation = fmt::format("read {}", path);
  struct stat status {};
  if (!file || fstat(file.get(), &status) < 0) return fail(errno_error(errno, operation));
  if (!S_ISREG(status.st_mode)) return fail(invalid(fmt::format("{}: not a regular file", operation)));
  if (static_cast<std::size_t>(status.st_size) > kMaxConfig)
    return fail(invalid(fmt::format("{}: larger than 1 MiB", operation)));
  std::string text(static_cast<std::size_t>(status.st_size), '\0');
  const ssize_t size = ::read(file.get(), text.data(), text.size());
  if (size < 0) return fail(errno_error(errno, operation));
  text.resize(static_cast<std::size_t>(size));
  return parse_config(text, path);
}

}  // namespace vmt
