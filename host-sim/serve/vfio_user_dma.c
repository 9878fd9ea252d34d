#include "host-sim/serve/vfio_user.h"

#include "host-sim/root.h"
#include "rtl-model/kernel.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* How long an unmap waits for the card to come to rest, and how often it looks. */
#define DRAIN_PS (200 * PS_PER_MS)
#define DRAIN_NS UINT64_C(20000)

/* ---- files, each mapped once: with an IOMMU there are thousands of maps of the same one ---- */

static struct vfio_user_file *find_file(const struct vfio_user_dma *dma, const struct stat *status,
					uint64_t end)
{
	for (struct vfio_user_file *file = dma->files; file; file = file->next)
		if (file->map.dev == status->st_dev && file->map.ino == status->st_ino &&
		    end <= file->map.bytes)
			return file;
	return NULL;
}

/* The file with all that `map` asks for; NULL with the reason in *error. */
static struct vfio_user_file *take_file(struct vfio_user *client, const struct vfio_user_dma_map *map, int fd,
					int *error)
{
	struct stat status;
	char reason[200];
	*error = EINVAL;
	if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode) ||
	    map->fd_offset > (uint64_t)status.st_size ||
	    map->bytes > (uint64_t)status.st_size - map->fd_offset)
		return NULL;
	/* The mapping is the card's to write where the client allows it: the descriptor must allow it, too. */
	if ((fcntl(fd, F_GETFL) & O_ACCMODE) != O_RDWR) {
		*error = EACCES;
		return NULL;
	}
	struct vfio_user_file *file = find_file(&client->dma, &status, map->fd_offset + map->bytes);
	if (!file) {
		file = calloc(1, sizeof(*file));
		*error = ENOMEM;
		if (!file)
			return NULL;
		if (client_map_create(&file->map, fd, 0, (uint64_t)status.st_size, reason, sizeof(reason)) !=
		    0) {
			card_say(client->card, "vfio-user: DMA_MAP: %s", reason);
			free(file);
			return NULL;
		}
		file->next = client->dma.files;
		client->dma.files = file;
	}
	file->users++;
	*error = 0;
	return file;
}

static void drop_file(struct vfio_user_dma *dma, struct vfio_user_file *file)
{
	if (!file || --file->users != 0)
		return;
	struct vfio_user_file **link = &dma->files;
	while (*link != file)
		link = &(*link)->next;
	*link = file->next;
	client_map_destroy(&file->map);
	free(file);
}

/* ---- maps ---- */

/* Index of the first map that ends at `addr` or above. */
static size_t first_reaching(const struct vfio_user_dma *dma, uint64_t addr)
{
	size_t low = 0, high = dma->maps;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const struct vfio_user_dma_map *map = &dma->map[middle].request;
		if (map->addr + (map->bytes - 1) < addr)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static bool same_map(const struct vfio_user_map *map, const struct vfio_user_dma_map *request, int fd)
{
	struct stat status;
	bool same = map->request.addr == request->addr && map->request.bytes == request->bytes &&
		    map->request.flags == request->flags && (fd < 0) == !map->file;
	if (!same || fd < 0)
		return same;
	return map->request.fd_offset == request->fd_offset && fstat(fd, &status) == 0 &&
	       status.st_dev == map->file->map.dev && status.st_ino == map->file->map.ino;
}

static int grow(struct vfio_user_dma *dma)
{
	if (dma->maps >= VFIO_USER_MAPS_MAX)
		return ENOSPC;
	if (dma->maps < dma->room)
		return 0;
	size_t room = dma->room ? 2 * dma->room : 64;
	struct vfio_user_map *grown = realloc(dma->map, room * sizeof(*grown));
	if (!grown)
		return ENOMEM;
	dma->map = grown;
	dma->room = room;
	return 0;
}

static int add_region(struct vfio_user *client, const struct vfio_user_map *map)
{
	const struct vfio_user_dma_map *request = &map->request;
	const struct memory_region region = {
		.base = request->addr,
		.bytes = request->bytes,
		.access = (request->flags & VFIO_USER_DMA_MAY_READ ? MEMORY_READ : 0) |
			  (request->flags & VFIO_USER_DMA_MAY_WRITE ? MEMORY_WRITE : 0),
		.data = map->file ? map->file->map.data + request->fd_offset : NULL,
		.ops = &vfio_user_remote_ops,
		.ctx = client,
	};
	return memory_add(&client->card->guest.memory, &region) == 0 ? 0 : ENOMEM;
}

int vfio_user_dma_map(struct vfio_user *client, const struct vfio_user_dma_map *request, int fd)
{
	struct vfio_user_dma *dma = &client->dma;
	int error = vfio_user_check_map(request);
	if (!error && request->addr + (request->bytes - 1) >= ROOT_MSI_BASE_TOP)
		error = EINVAL; /* the card's interrupts go there */
	if (error)
		return error;
	size_t at = first_reaching(dma, request->addr);
	if (at < dma->maps && dma->map[at].request.addr <= request->addr + (request->bytes - 1))
		return same_map(&dma->map[at], request, fd) ? 0 : EEXIST;
	struct vfio_user_map map = {.request = *request};
	error = grow(dma);
	if (!error && fd >= 0)
		map.file = take_file(client, request, fd, &error);
	if (fd >= 0 && !map.file)
		return error;
	if (!error)
		error = add_region(client, &map);
	if (error) {
		drop_file(dma, map.file);
		return error;
	}
	memmove(dma->map + at + 1, dma->map + at, (dma->maps - at) * sizeof(*dma->map));
	dma->map[at] = map;
	dma->maps++;
	return 0;
}

/* Takes out maps [from, to). */
static void remove_maps(struct vfio_user *client, size_t from, size_t to)
{
	struct vfio_user_dma *dma = &client->dma;
	if (from == to)
		return;
	for (size_t i = from; i < to; i++) {
		const struct vfio_user_dma_map *request = &dma->map[i].request;
		memory_remove(&client->card->guest.memory, request->addr, request->bytes);
		drop_file(dma, dma->map[i].file);
	}
	memmove(dma->map + from, dma->map + to, (dma->maps - to) * sizeof(*dma->map));
	dma->maps -= to - from;
}

/* What the card has begun it finishes first. Not what waits for an answer of this client: it waits for ours. */
static void drain(struct vfio_user *client)
{
	uint64_t limit_ps = kernel_now_ps() + DRAIN_PS;
	while (client->remote.outstanding == 0 && !loop_stopping(client->card->loop)) {
		if (card_drain(client->card, DRAIN_NS))
			return;
		vfio_user_wait_for_room(client);
		if (kernel_now_ps() >= limit_ps) {
			card_say(client->card, "vfio-user: DMA_UNMAP while the card does not come to rest");
			return;
		}
	}
}

int vfio_user_dma_unmap(struct vfio_user *client, const struct vfio_user_dma_unmap *unmap)
{
	struct vfio_user_dma *dma = &client->dma;
	int error = vfio_user_check_unmap(unmap);
	if (error)
		return error;
	bool all = unmap->flags & VFIO_USER_UNMAP_ALL;
	uint64_t last = all ? UINT64_MAX : unmap->addr + (unmap->bytes - 1);
	size_t from = first_reaching(dma, unmap->addr), to = from;
	while (to < dma->maps && dma->map[to].request.addr <= last)
		to++;
	if (from == to)
		return 0;
	/* A map is taken whole or not at all. */
	const struct vfio_user_dma_map *bottom = &dma->map[from].request, *top = &dma->map[to - 1].request;
	if (bottom->addr < unmap->addr || top->addr + (top->bytes - 1) > last)
		return EINVAL;
	drain(client);
	remove_maps(client, from, to);
	return 0;
}

bool vfio_user_dma_lost(const struct vfio_user *client)
{
	for (const struct vfio_user_file *file = client->dma.files; file; file = file->next)
		if (client_map_lost(&file->map))
			return true;
	return false;
}

void vfio_user_dma_close(struct vfio_user *client)
{
	remove_maps(client, 0, client->dma.maps);
	free(client->dma.map);
	client->dma = (struct vfio_user_dma){0};
}
