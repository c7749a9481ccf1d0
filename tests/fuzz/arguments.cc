// SPDX-License-Identifier: LGPL-2.1-or-later
// The privileged helper's command line: what it takes means one thing, and is complete.
#include "helper/tap/arguments.h"

#include "tests/fuzz/property.h"

namespace {

using namespace vmt;
using namespace vmt::tap;

void check(const Request& request) {
  fuzz::require_valid(request.parent);
  fuzz::require(request.mode != MacvlanMode::kPassthru || !request.mac, "passthru takes the parent's MAC");
  std::string text = request.parent.str();
  if (request.mac) text += "/" + request.mac->str();
  const auto again = parse_request(text += "/" + std::string(to_string(request.mode)));
  fuzz::require(again && again->parent == request.parent && again->mac == request.mac && again->mode == request.mode,
                "a request that is spelled out is the same");
}

}  // namespace

// Words with NUL between them, as in /proc/PID/cmdline.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(fuzz::text_of(data, size));
  std::vector<const char*> words;
  for (const auto word : fuzz::split(text, '\0')) words.push_back(word.data());
  const auto arguments = parse_arguments(words);
  fuzz::require_sound(arguments);
  if (arguments && !arguments->help && !arguments->version) {
    fuzz::require(arguments->request && arguments->fd >= 0, "nothing is left out");
    words.push_back("--fd=3");
    fuzz::require(!parse_arguments(words), "nothing is given twice");
  }
  if (arguments && arguments->request) check(*arguments->request);
  const auto request = parse_request(text);
  fuzz::require_sound(request);
  if (request) check(*request);
  return 0;
}
