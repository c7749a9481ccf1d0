// SPDX-License-Identifier: LGPL-2.1-or-later
#include "helper/lookup/libvirt_domains.h"

#include <dlfcn.h>
#include <fmt/core.h>
#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>

#include <cstdlib>
#include <memory>
#include <optional>
#include <span>

namespace vmt::lookup {
namespace {

constexpr const char* kLibrary = "libvirt.so.0";

// What we call of libvirt. Never unloaded: it is not made for it.
struct Api {
  decltype(&virConnectOpenReadOnly) open_read_only = nullptr;
  decltype(&virConnectClose) close = nullptr;
  decltype(&virConnectListAllDomains) list_all_domains = nullptr;
  decltype(&virDomainGetXMLDesc) xml_desc = nullptr;
  decltype(&virDomainFree) domain_free = nullptr;
  decltype(&virGetLastErrorCode) last_error_code = nullptr;
  decltype(&virGetLastErrorMessage) last_error_message = nullptr;
  decltype(&virSetErrorFunc) set_error_func = nullptr;
};

template <typename Function>
bool find(void* library, const char* name, Function& function) {
  function = reinterpret_cast<Function>(dlsym(library, name));
  return function != nullptr;
}

std::expected<Api, Error> load() {
  void* library = dlopen(kLibrary, RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) return fail(Error{ErrorKind::kNotFound, fmt::format("load libvirt: {}", dlerror())});
  Api api;
  const bool complete =
      find(library, "virConnectOpenReadOnly", api.open_read_only) && find(library, "virConnectClose", api.close) &&
      find(library, "virConnectListAllDomains", api.list_all_domains) &&
      find(library, "virDomainGetXMLDesc", api.xml_desc) && find(library, "virDomainFree", api.domain_free) &&
      find(library, "virGetLastErrorCode", api.last_error_code) &&
      find(library, "virGetLastErrorMessage", api.last_error_message) &&
      find(library, "virSetErrorFunc", api.set_error_func);
  if (!complete) return fail(Error{ErrorKind::kFailed, fmt::format("load libvirt: {}", dlerror())});
  // It would print each error to stderr by itself.
  api.set_error_func(nullptr, [](void*, virErrorPtr) {});
  return api;
}

// A handle of libvirt's, given back by one of its functions.
template <typename T>
using Handle = std::unique_ptr<T, int (*)(T*)>;

struct FreeText {
  void operator()(char* text) const { std::free(text); }
};

class Client {
 public:
  static std::expected<Client, Error> connect(const std::string& uri) {
    const auto api = load();
    if (!api) return fail(api.error());
    Handle<virConnect> connection(api->open_read_only(uri.c_str()), api->close);
    Client client(*api, uri, std::move(connection));
    if (!client.connection_) return fail(client.last_error());
    return client;
  }

  std::expected<std::vector<Handle<virDomain>>, Error> active_domains() const {
    virDomainPtr* list = nullptr;
    const int count = api_.list_all_domains(connection_.get(), &list, VIR_CONNECT_LIST_DOMAINS_ACTIVE);
    if (count < 0) return fail(last_error());
    std::vector<Handle<virDomain>> domains;
    for (const auto domain : std::span(list, static_cast<std::size_t>(count)))
      domains.emplace_back(domain, api_.domain_free);
    std::free(list);
    return domains;
  }

  // The live XML, which has the parents that libvirt has chosen; nullopt when the domain is gone meanwhile.
  std::expected<std::optional<std::string>, Error> xml_of(const Handle<virDomain>& domain) const {
    const std::unique_ptr<char, FreeText> text(api_.xml_desc(domain.get(), 0));
    if (text) return std::string(text.get());
    if (api_.last_error_code() == VIR_ERR_NO_DOMAIN) return std::nullopt;
    return fail(last_error());
  }

 private:
  Client(const Api& api, std::string uri, Handle<virConnect> connection)
      : api_(api), uri_(std::move(uri)), connection_(std::move(connection)) {}

  Error last_error() const {
    return {ErrorKind::kFailed, fmt::format("libvirt at {}: {}", uri_, api_.last_error_message())};
  }

  Api api_;
  std::string uri_;
  Handle<virConnect> connection_;
};

}  // namespace

std::expected<std::vector<std::string>, Error> running_domains(const std::string& uri) {
  const auto client = Client::connect(uri);
  if (!client) return fail(client.error());
  const auto domains = client->active_domains();
  if (!domains) return fail(domains.error());
  std::vector<std::string> result;
  for (const auto& domain : *domains) {
    auto xml = client->xml_of(domain);
    if (!xml) return fail(xml.error());
    if (*xml) result.push_back(std::move(**xml));
  }
  return result;
}

}  // namespace vmt::lookup
