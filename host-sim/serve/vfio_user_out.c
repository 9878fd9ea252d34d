#include "host-sim/serve/vfio_user.h"

#include "rtl-model/kernel.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* From here on the client's own requests wait, and simulated time where they do; and here a client is given up. */
#define SLOW_BYTES  (256u << 10)
#define GIVEN_BYTES (64u << 20)

struct vfio_user_out_message {
	struct vfio_user_out_message *next;
	size_t bytes;
	unsigned fds;
	int fd[VFIO_USER_FDS_MAX];
	uint8_t data[];
};

static struct vfio_user_out_message *take(struct vfio_user_out *out)
{
	struct vfio_user_out_message *message = out->first;
	out->first = message->next;
	if (!out->first)
		out->last = &out->first;
	out->queued_bytes -= message->bytes;
	return message;
}

static void drop_all(struct vfio_user_out *out)
{
	while (out->first)
		free(take(out));
}

static void sender(void *arg)
{
	struct vfio_user_out *out = arg;
	for (;;) {
		while (!out->first)
			kernel_event_wait(out->wake);
		struct vfio_user_out_message *message = take(out);
		out->sending = true;
		if (!out->broken && channel_send(&out->channel, message->data, message->bytes, message->fd,
						 message->fds) != CHANNEL_OK)
			out->broken = true;
		free(message);
		out->sending = false;
		kernel_event_notify(out->moved, kernel_now_ps());
	}
}

void vfio_user_out_init(struct vfio_user_out *out)
{
	*out = (struct vfio_user_out){.channel.fd = -1};
	out->last = &out->first;
	out->wake = kernel_event_create();
	out->moved = kernel_event_create();
	kernel_thread_spawn("vfio_user_sender", sender, out);
}

void vfio_user_out_free(struct vfio_user_out *out)
{
	drop_all(out);
	channel_close(&out->channel);
	kernel_event_free(out->wake);
	kernel_event_free(out->moved);
}

int vfio_user_out_open(struct vfio_user_out *out, const struct channel *channel)
{
	int fd = fcntl(channel->fd, F_DUPFD_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	out->channel = (struct channel){.loop = channel->loop, .fd = fd};
	out->broken = false;
	return 0;
}

void vfio_user_out_close(struct vfio_user_out *out)
{
	out->broken = true;
	drop_all(out);
	/* Wakes the sender if it waits for room. */
	if (out->sending)
		shutdown(out->channel.fd, SHUT_RDWR);
	while (out->sending && !loop_stopping(out->channel.loop))
		kernel_event_wait(out->moved);
	if (!out->sending)
		channel_close(&out->channel);
}

/* Nothing more goes out; the thread that reads finds the end, and ends the connection. */
static void give_up(struct vfio_user_out *out)
{
	out->broken = true;
	shutdown(out->channel.fd, SHUT_RDWR);
}

static void queue(struct vfio_user_out *out, const void *data, size_t bytes, const int *fds,
		  unsigned fd_count)
{
	struct vfio_user_out_message *message = malloc(sizeof(*message) + bytes);
	if (!message) {
		give_up(out);
		return;
	}
	ASSERT(fd_count <= VFIO_USER_FDS_MAX);
	message->next = NULL;
	message->bytes = bytes;
	message->fds = fd_count;
	memcpy(message->data, data, bytes);
	if (fd_count != 0)
		memcpy(message->fd, fds, fd_count * sizeof(*fds));
	*out->last = message;
	out->last = &message->next;
	out->queued_bytes += bytes;
	kernel_event_notify(out->wake, kernel_now_ps());
}

void vfio_user_out_send(struct vfio_user_out *out, const void *message, size_t bytes, const int *fds,
			unsigned fd_count)
{
	bool idle = !out->first && !out->sending;
	if (out->broken)
		return;
	if (idle && fd_count == 0 && channel_send_now(&out->channel, message, bytes))
		return;
	queue(out, message, bytes, fds, fd_count);
	if (out->queued_bytes > GIVEN_BYTES)
		give_up(out);
}

bool vfio_user_out_full(const struct vfio_user_out *out)
{
	return out->queued_bytes > SLOW_BYTES && !out->broken;
}

void vfio_user_out_wait(struct vfio_user_out *out)
{
	while (vfio_user_out_full(out) && !loop_stopping(out->channel.loop))
		kernel_event_wait(out->moved);
}
