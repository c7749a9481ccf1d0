// SPDX-License-Identifier: LGPL-2.1-or-later
// Why do the static programs not set up std::cin and std::cout?
//
// Boost.Program_options includes <iostream>, whose static initialiser sets up eight streams and all their locale facets
// in each call of the hook: 60 to 100 µs of 1,300 where a page fault is dear, for streams that nobody here uses. The
// linker is told (--wrap) to call these instead. What Boost needs to parse the configuration, string streams and the
// classic locale, initialises itself on first use; HookTest.AConfigurationIsRead runs that way.
extern "C" {
void __wrap__ZNSt8ios_base4InitC1Ev(void*);
void __wrap__ZNSt8ios_base4InitD1Ev(void*);

void __wrap__ZNSt8ios_base4InitC1Ev(void*) {}
void __wrap__ZNSt8ios_base4InitD1Ev(void*) {}
}
