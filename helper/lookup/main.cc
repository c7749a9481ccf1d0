// SPDX-License-Identifier: LGPL-2.1-or-later
// virt-macvtap-lookup: what a static program cannot find out by itself, because it takes plug-ins of the host's: which
// domains libvirt runs, and who its users are. virt-macvtap starts it (helper/cli/lookup.h); people have no use for it.
#include <fmt/core.h>
#include <signal.h>
#include <sys/prctl.h>

#include <charconv>
#include <cstdio>
#include <cstring>
#include <exception>
#include <span>
#include <string>
#include <vector>

#include "helper/lookup/accounts.h"
#include "helper/lookup/answer.h"
#include "helper/lookup/libvirt_domains.h"

namespace vmt::lookup {
namespace {

using Answer = std::expected<std::vector<std::string>, Error>;

Answer names(std::span<char* const> users) {
  std::vector<std::string> result;
  for (const char* text : users) {
    uid_t user = 0;
    const auto [end, error] = std::from_chars(text, text + std::strlen(text), user);
    result.push_back(error == std::errc{} && *end == '\0' ? name_of(user) : std::string{});
  }
  return result;
}

Answer answer(std::span<char* const> words) {
  const std::string_view question = words.empty() ? "" : words[0];
  if (question == "guests" && words.size() == 2) return running_domains(words[1]);
  if (question == "account" && words.size() == 2) return account(words[1]);
  if (question == "names") return names(words.subspan(1));
  return fail(invalid("virt-macvtap starts this program; see `virt-macvtap --help`"));
}

int tell(const std::vector<std::string>& texts, int status) {
  for (const auto& text : texts) std::fwrite(text.c_str(), 1, text.size() + 1, stdout);
  return std::fflush(stdout) == 0 && std::ferror(stdout) == 0 ? status : EXIT_FAILURE;
}

int run(std::span<char* const> words) {
  const auto texts = answer(words);
  if (texts) return tell(*texts, kAnswered);
  return tell({texts.error().message}, texts.error().kind == ErrorKind::kNotFound ? kNotFound : EXIT_FAILURE);
}

}  // namespace
}  // namespace vmt::lookup

int main(int argc, char** argv) {
  // libvirt may never answer, and then nobody would be left to read it.
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  try {
    return vmt::lookup::run(std::span<char* const>(argv + (argc > 0 ? 1 : 0), argv + argc));
  } catch (const std::exception& error) {
    return vmt::lookup::tell({error.what()}, EXIT_FAILURE);
  }
}
