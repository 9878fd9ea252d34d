/* The MSI-X generator's RTL twin (ks_msix.sv) behind the functions of msix.h. */
#ifndef KICKSTAND_BLOCKS_MSIX_MSIX_RTL_H
#define KICKSTAND_BLOCKS_MSIX_MSIX_RTL_H

#include "rtl-model/blocks/msix/msix.h"

#ifdef __cplusplus
extern "C" {
#endif

/* As msix_create. */
struct msix *msix_rtl_create(const struct config *config, const struct msix_ports *ports);

#ifdef __cplusplus
}
#endif
#endif
