// SPDX-License-Identifier: LGPL-2.1-or-later
#include "helper/tap/acl_file.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <grp.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <iterator>
#include <memory>
#include <optional>
#include <utility>

#include "lib/algorithm.h"
#include "lib/fd.h"
#include "lib/text.h"

namespace vmt::tap {
namespace {

using Rules = std::vector<AclRule>;

std::vector<std::string_view> words(std::string_view line) {
  constexpr std::string_view kBlank = " \t";
  std::vector<std::string_view> result;
  for (auto first = line.find_first_not_of(kBlank); first != std::string_view::npos;
       first = line.find_first_not_of(kBlank)) {
    line.remove_prefix(first);
    const auto end = std::min(line.find_first_of(kBlank), line.size());
    result.push_back(line.substr(0, end));
    line.remove_prefix(end);
  }
  return result;
}

std::expected<Rules, Error> parse_line(std::string_view text, const Accounts& accounts, const Includer& include) {
  if (text.size() > kMaxAclLine) return fail(invalid(fmt::format("longer than {} bytes", kMaxAclLine)));
  if (text.find('\0') != std::string_view::npos) return fail(invalid("a NUL byte"));
  const auto line = words(text);
  if (line.empty() || line[0].starts_with('#')) return Rules{};
  if (line[0] == "include") {
    if (line.size() != 2 || !line[1].starts_with('/'))
      return fail(invalid("include takes one absolute path, without blanks"));
    return include(std::string(line[1]));
  }
  auto rule = parse_rule(line, accounts);
  if (!rule) return fail(rule.error());
  return Rules{*std::move(rule)};
}

class Reader {
 public:
  explicit Reader(const Accounts& accounts) : accounts_(accounts) {}

  std::expected<Rules, Error> read(const std::string& path) {
    if (++files_ > kMaxAclFiles) return fail(invalid(fmt::format("more than {} files", kMaxAclFiles)));
    // Symlinks are followed, as alternatives and configuration management make them: what counts is the file that was
    // opened, and who can plant a link in a directory can as well rename a file there. O_NONBLOCK: a FIFO has to be
    // refused, not waited for.
    const Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
    struct stat status {};
    if (!file && errno == EACCES)  // it is read as the user
      return fail(invalid(
          fmt::format("read {}: Permission denied (everybody has to be able to read it: chmod go+r {})", path, path)));
    if (!file || fstat(file.get(), &status) < 0) return fail(errno_error(errno, fmt::format("read {}", path)));
    if (auto sound = check(status, path); !sound) return fail(sound.error());
    seen_.push_back({path, status});
    const FileId id{status.st_dev, status.st_ino};
    if (contains(including_, id)) return fail(invalid(fmt::format("{} includes itself", path)));
    const auto text = read_text(file.get(), path);
    if (!text) return fail(text.error());
    including_.push_back(id);
    auto rules = parse_acl(*text, path, accounts_, [this](const std::string& included) { return read(included); });
    including_.pop_back();
    return rules;
  }

  // Whether each file that was read is still what its path leads to, as it was when it was opened. Else what was read
  // may be of two lists, some files of the old one and some of the new, and allow what neither does.
  bool unchanged() const {
    return std::ranges::all_of(seen_, [](const Seen& seen) {
      struct stat now {};
      return stat(seen.path.c_str(), &now) == 0 && now.st_dev == seen.status.st_dev &&
             now.st_ino == seen.status.st_ino && now.st_size == seen.status.st_size &&
             same(now.st_mtim, seen.status.st_mtim) && same(now.st_ctim, seen.status.st_ctim);
    });
  }

 private:
  using FileId = std::pair<dev_t, ino_t>;
  struct Seen {
    std::string path;
    struct stat status;
  };

  static bool same(const timespec& a, const timespec& b) { return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec; }

  static Status check(const struct stat& status, const std::string& path) {
    const auto refuse = [&](std::string_view what) { return fail(invalid(fmt::format("read {}: {}", path, what))); };
    if (!S_ISREG(status.st_mode)) return refuse("not a regular file");
    if (status.st_uid != 0)
      return refuse(fmt::format("owned by uid {} instead of root (chown root {})", status.st_uid, path));
    // With a POSIX ACL the group's bits are its mask, so this covers the users and groups that it names.
    if (status.st_mode & (S_IWGRP | S_IWOTH)) return refuse(fmt::format("others can write it (chmod go-w {})", path));
    return {};
  }

  // To the end rather than to st_size, which is 0 in /proc and old when the file grows.
  std::expected<std::string, Error> read_text(int fd, const std::string& path) {
    std::string text;
    char chunk[4096];
    for (;;) {
      const ssize_t size = ::read(fd, chunk, sizeof chunk);
      if (size < 0 && errno == EINTR) continue;
      if (size < 0) return fail(errno_error(errno, fmt::format("read {}", path)));
      if (size == 0) return text;
      text.append(chunk, static_cast<std::size_t>(size));
      text_ += static_cast<std::size_t>(size);
      if (text_ > kMaxAclText) return fail(invalid(fmt::format("read {}: more than 1 MiB in all", path)));
    }
  }

  const Accounts& accounts_;
  std::size_t files_ = 0;
  std::size_t text_ = 0;
  std::vector<FileId> including_;
  std::vector<Seen> seen_;
};

// The first of that name, as NSS would have it; none as well when the file cannot be read. A "+" or "-" line, NIS's, is
// no account: glibc returns it with the id 0.
template <typename Entry, auto kNext, auto kName, auto kId>
std::optional<std::uint32_t> find_id(const std::string& path, std::string_view name) {
  constexpr std::size_t kLongestEntry = 1 << 20;
  const std::unique_ptr<std::FILE, decltype([](std::FILE* file) { std::fclose(file); })> file(
      std::fopen(path.c_str(), "re"));
  if (!file || name.starts_with('+') || name.starts_with('-')) return std::nullopt;
  std::vector<char> buffer(4096);
  for (;;) {
    Entry entry{};
    Entry* found = nullptr;
    const int error = kNext(file.get(), &entry, buffer.data(), buffer.size(), &found);
    if (error == ERANGE && buffer.size() < kLongestEntry) {
      buffer.resize(buffer.size() * 2);
      if (std::fseek(file.get(), 0, SEEK_SET) != 0) return std::nullopt;
    } else if (error != 0 || !found) {
      return std::nullopt;
    } else if (found->*kName == name) {
      return found->*kId;
    }
  }
}

}  // namespace

std::expected<Rules, Error> parse_acl(std::string_view text, const std::string& file, const Accounts& accounts,
                                      const Includer& include) {
  Rules rules;
  for (int line = 1; !text.empty(); ++line) {
    const auto end = std::min(text.find('\n'), text.size());
    auto added = parse_line(text.substr(0, end), accounts, include);
    if (!added) return fail(invalid(fmt::format("{}:{}: {}", file, line, added.error().message)));
    for (AclRule& rule : *added) {
      if (rule.line == 0) {  // else it is an include's
        rule.file = file;
        rule.line = line;
      }
      rules.push_back(std::move(rule));
    }
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return rules;
}

Accounts system_accounts(std::string passwd, std::string group) {
  return {
      .uid = [path = std::move(passwd)](
                 auto name) { return find_id<::passwd, fgetpwent_r, &passwd::pw_name, &passwd::pw_uid>(path, name); },
      .gid = [path = std::move(group)](
                 auto name) { return find_id<::group, fgetgrent_r, &group::gr_name, &group::gr_gid>(path, name); }};
}

std::expected<Acl, Error> read_acl(const char* path) {
  const Accounts accounts = system_accounts();
  constexpr int kTries = 4;  // nobody edits a list that often
  for (int tries = 1; tries <= kTries; ++tries) {
    Reader reader(accounts);
    auto rules = reader.read(path);
    if (!reader.unchanged()) continue;
    if (rules) return Acl(path, *std::move(rules));
    // Only the list itself: what is wrong with an include is an error on a line.
    if (rules.error().kind == ErrorKind::kNotFound)
      rules.error().message += " (everything is refused until it exists; a line of it: allow eth0 group=kvm)";
    return fail(rules.error());
  }
  return fail(invalid(fmt::format("read {}: it, or what it includes, changes all the time", path)));
}

}  // namespace vmt::tap
