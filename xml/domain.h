// SPDX-License-Identifier: LGPL-2.1-or-later
// From libvirt's domain XML to a Guest. The only folder that knows pugixml.
#pragma once

#include <cstddef>
#include <expected>
#include <string>
#include <vector>

#include "lib/error.h"
#include "lib/guest.h"

namespace vmt {

inline constexpr std::size_t kMaxDomainXml = 4 * 1024 * 1024;  // bytes
// More than any real guest has; what is beyond is left out with a note. Metadata is free-form, so somebody has to say
// stop.
inline constexpr std::size_t kMaxNics = 256;
inline constexpr std::size_t kMaxAddresses = 64;  // of one NIC
inline constexpr std::size_t kMaxNotes = 32;
inline constexpr const char* kMetadataNamespace = "urn:virt-macvtap:host-access:1";

struct ParsedDomain {
  Guest guest;
  // What was left out and why: an interface without a MAC, a bad address in our metadata. The rest of the guest counts.
  std::vector<std::string> notes;
};

// A <domain>, or a <domstatus> around one, as libvirt's daemon keeps it (xml/status_files.h).
// Takes the text by value: it is parsed in place. An error only for what is no domain XML at all (empty, truncated,
// over kMaxDomainXml, another root element).
//
//   <vmt:host-access xmlns:vmt='urn:virt-macvtap:host-access:1' enabled='yes'>
//     <vmt:nic mac='52:54:00:12:34:56'>
//       <vmt:direct dev='eth0' mode='bridge'/>                 where the device of a <target managed='no'> is to be
//       made <vmt:address>192.168.1.61</vmt:address>
//     </vmt:nic>
//   </vmt:host-access>
std::expected<ParsedDomain, Error> parse_domain(std::string text);

}  // namespace vmt
