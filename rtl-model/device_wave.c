/* Waves of the card: what each block shows, by name. A signal to add is a row here. */
#include "rtl-model/device_state.h"

#define SIGNAL(name, expression)                                                                             \
	static uint64_t name(void *ctx, uint64_t now_ps)                                                     \
	{                                                                                                    \
		struct device *device = ctx;                                                                 \
		(void)now_ps;                                                                                \
		return (expression);                                                                         \
	}

SIGNAL(bus_master, endpoint_control(device->endpoint)->bus_master)
SIGNAL(memory_space, endpoint_control(device->endpoint)->memory_space)
SIGNAL(msix_enable, endpoint_control(device->endpoint)->msix_enable)
SIGNAL(in_reset, endpoint_in_reset(device->endpoint))
SIGNAL(status, device->virtio.status)
SIGNAL(isr, device->virtio.isr)
SIGNAL(doorbells, device->notify->stats.written)
SIGNAL(pending, notify_waiting(device->notify))
SIGNAL(serviced, device->notify->stats.serviced)
SIGNAL(walkers, fetch_walkers_busy(device->fetch))
SIGNAL(slots, fetch_slots_in_use(device->fetch))
SIGNAL(fetched, device->fetch->stats.requests)
SIGNAL(fetch_works, fetch_busy(device->fetch))
SIGNAL(tags, dma_stats(device->dma)->tags_in_use)
SIGNAL(read_tlps, dma_stats(device->dma)->read_tlps)
SIGNAL(write_tlps, dma_stats(device->dma)->write_tlps)
SIGNAL(dma_works, dma_busy(device->dma))
SIGNAL(jobs, mover_jobs(device->mover))
SIGNAL(copy_works, copy_busy(&device->copy))
SIGNAL(accesses, media_outstanding(device->media))
SIGNAL(channels, media_channels_busy(device->media))
SIGNAL(completions, used_stats(device->used)->completions)
SIGNAL(used_works, used_busy(device->used))
SIGNAL(waiting, msix_waiting(device->msix))
SIGNAL(sent, device->msix->stats.sent)
SIGNAL(pc, cpu_get_register(device->cpu, 32))
SIGNAL(asleep, cpu_state(device->cpu) == CPU_ASLEEP)
SIGNAL(interrupt, device->sys.line)
SIGNAL(event_enable, device->sys.event_enable)
SIGNAL(up_backlog, link_backlog_bytes(device->up, now_ps))
SIGNAL(down_backlog, link_backlog_bytes(device->down, now_ps))

static const struct wave_signal signals[] = {
	{"endpoint.bus_master_enable", 1, bus_master},
	{"endpoint.memory_space_enable", 1, memory_space},
	{"endpoint.msix_enable", 1, msix_enable},
	{"endpoint.in_reset", 1, in_reset},
	{"virtio.device_status", 8, status},
	{"virtio.isr", 2, isr},
	{"notify.doorbells", 64, doorbells},
	{"notify.pending_queues", 64, pending},
	{"notify.serviced", 64, serviced},
	{"fetch.busy", 1, fetch_works},
	{"fetch.walkers", 16, walkers},
	{"fetch.slots_in_use", 16, slots},
	{"fetch.requests", 64, fetched},
	{"dma.busy", 1, dma_works},
	{"dma.tags_in_use", 16, tags},
	{"dma.read_tlps", 64, read_tlps},
	{"dma.write_tlps", 64, write_tlps},
	{"mover.jobs", 16, jobs},
	{"copy.busy", 1, copy_works},
	{"media.outstanding", 16, accesses},
	{"media.channels_busy", 16, channels},
	{"used.busy", 1, used_works},
	{"used.completions", 64, completions},
	{"msix.waiting", 16, waiting},
	{"msix.sent", 64, sent},
	{"core.pc", 32, pc},
	{"core.asleep", 1, asleep},
	{"core.interrupt", 1, interrupt},
	{"sys.event_enable", 32, event_enable},
	{"link.up_backlog_bytes", 32, up_backlog},
	{"link.down_backlog_bytes", 32, down_backlog},
};

struct wave_source device_wave(struct device *device)
{
	return (struct wave_source){signals, ARRAY_SIZE(signals), device};
}
