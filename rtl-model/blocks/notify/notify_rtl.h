/* The notify unit's RTL twin (ks_notify.sv) behind the functions of notify.h. */
#ifndef KICKSTAND_BLOCKS_NOTIFY_NOTIFY_RTL_H
#define KICKSTAND_BLOCKS_NOTIFY_NOTIFY_RTL_H

#include "rtl-model/blocks/notify/notify.h"

#ifdef __cplusplus
extern "C" {
#endif

/* As notify_create. */
struct notify *notify_rtl_create(const struct config *config, const struct waker *self,
				 struct service_fifo *out);

#ifdef __cplusplus
}
#endif
#endif
