/* SPDX-License-Identifier: LGPL-2.1-or-later
 * The floor of `virt-macvtap plan`: libvirt's answer to which guests run, and with which XML.
 *   floor_libvirt URI */
#include <libvirt/libvirt.h>
#include <stdlib.h>

int main(int argc, char **argv) {
  virDomainPtr *domains = NULL;
  virConnectPtr connection = argc == 2 ? virConnectOpenReadOnly(argv[1]) : NULL;
  if (!connection) return 1;
  const int count = virConnectListAllDomains(connection, &domains, VIR_CONNECT_LIST_DOMAINS_ACTIVE);
  for (int i = 0; i < count; ++i) {
    free(virDomainGetXMLDesc(domains[i], 0));
    virDomainFree(domains[i]);
  }
  free(domains);
  virConnectClose(connection);
  return count < 0;
}
