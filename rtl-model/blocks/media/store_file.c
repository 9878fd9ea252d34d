/* A raw image file or a block device, read and written in place. */
#include "rtl-model/blocks/media/store_ops.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

struct store_file {
	struct store store;
	int fd;
};

static int fd_of(const struct store *store)
{
	return ((const struct store_file *)store)->fd;
}

/* ---- opening ---- */

/* Looked at before opening, because opening a FIFO waits and opening some devices does something. */
static bool kind_is_good(const char *path, char *error, size_t error_size)
{
	struct stat status;
	if (stat(path, &status) != 0) {
		if (errno == ENOENT)
			store_fail(error, error_size, path,
				   "no such file; create it with `truncate -s 64M %s`", path);
		else
			store_fail(error, error_size, path, "%s; check the path", strerror(errno));
		return false;
	}
	if (S_ISREG(status.st_mode) || S_ISBLK(status.st_mode))
		return true;
	store_fail(error, error_size, path, "is a %s; name a raw image file or a block device",
		   S_ISDIR(status.st_mode)    ? "directory"
		   : S_ISCHR(status.st_mode)  ? "character device"
		   : S_ISFIFO(status.st_mode) ? "FIFO"
					      : "socket");
	return false;
}

/* An open-file-description lock of the whole file, which QEMU's image locking respects too. */
static bool lock(int fd, bool read_only)
{
	struct flock range = {.l_type = read_only ? F_RDLCK : F_WRLCK, .l_whence = SEEK_SET};
	if (fcntl(fd, F_OFD_SETLK, &range) == 0)
		return true;
	return errno != EAGAIN && errno != EACCES; /* a file system without locks is no reason to refuse */
}

static bool find_size(int fd, uint64_t *bytes, bool *block_device)
{
	struct stat status;
	if (fstat(fd, &status) != 0)
		return false;
	*block_device = S_ISBLK(status.st_mode);
	if (*block_device)
		return ioctl(fd, BLKGETSIZE64, bytes) == 0;
	*bytes = (uint64_t)status.st_size;
	return true;
}

/* Asks for a hole behind the end of the file, which changes nothing but the file's time: that is put back, so that a run
 * that only reads leaves no mark. A block device has to be tried. */
static bool can_punch(int fd, uint64_t bytes, bool block_device)
{
	struct stat status;
	if (block_device)
		return true;
	bool known = fstat(fd, &status) == 0;
	bool punched = fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)bytes,
				 STORE_SECTOR_BYTES) == 0;
	/* Somebody else's file keeps its new time. */
	(void)(known && futimens(fd, (const struct timespec[2]){status.st_atim, status.st_mtim}) == 0);
	return punched;
}

static void open_failed(const char *path, bool read_only, char *error, size_t error_size)
{
	if (!read_only && (errno == EACCES || errno == EPERM || errno == EROFS))
		store_fail(error, error_size, path,
			   "cannot be written (%s); allow it, or use --set device.read_only=on",
			   strerror(errno));
	else
		store_fail(error, error_size, path, "cannot be opened: %s; check its permissions",
			   strerror(errno));
}

/* Lock and size of the open image. */
static bool examine(const char *path, struct store_file *file, char *error, size_t error_size)
{
	struct store_info *info = &file->store.info;
	char mend[512];
	bool block_device;
	if (!lock(file->fd, info->read_only)) {
		store_fail(error, error_size, path,
			   "in use by another process; end that one or use a copy of the image");
		return false;
	}
	if (!find_size(file->fd, &info->bytes, &block_device)) {
		store_fail(error, error_size, path, "its size cannot be found: %s; use an image file",
			   strerror(errno));
		return false;
	}
	snprintf(mend, sizeof(mend), "give it a size with `truncate -s %s %s`",
		 info->bytes == 0 ? "64M" : "%512", path);
	if (!store_check_size(path, info->bytes, mend, error, error_size))
		return false;
	info->can_flush = true;
	info->can_zero = true;
	info->can_discard = !info->read_only && can_punch(file->fd, info->bytes, block_device);
	return true;
}

/* ---- access ---- */

static int file_read(struct store *store, uint64_t offset, void *data, size_t bytes)
{
	uint8_t *to = data;
	while (bytes != 0) {
		ssize_t done = pread(fd_of(store), to, bytes, (off_t)offset);
		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return -errno;
		if (done == 0) {
			store->reason = "the image has become shorter";
			return -EIO;
		}
		to += done;
		offset += (uint64_t)done;
		bytes -= (size_t)done;
	}
	return 0;
}

static int file_write(struct store *store, uint64_t offset, const void *data, size_t bytes)
{
	const uint8_t *from = data;
	while (bytes != 0) {
		ssize_t done = pwrite(fd_of(store), from, bytes, (off_t)offset);
		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			return done < 0 ? -errno : -EIO;
		from += done;
		offset += (uint64_t)done;
		bytes -= (size_t)done;
	}
	return 0;
}

static int file_flush(struct store *store)
{
	return fdatasync(fd_of(store)) == 0 ? 0 : -errno;
}

static int allocate(struct store *store, int mode, uint64_t offset, uint64_t bytes)
{
	int result;
	do
		result = fallocate(fd_of(store), mode | FALLOC_FL_KEEP_SIZE, (off_t)offset, (off_t)bytes);
	while (result != 0 && errno == EINTR);
	return result == 0 ? 0 : -errno;
}

/* Not supported by this file system, or not for this alignment (block devices). */
static bool is_refusal(int result)
{
	return result == -EOPNOTSUPP || result == -ENOSYS || result == -EINVAL;
}

static int file_discard(struct store *store, uint64_t offset, uint64_t bytes)
{
	int result = allocate(store, FALLOC_FL_PUNCH_HOLE, offset, bytes);
	if (result == -EOPNOTSUPP)
		store->info.can_discard = false;
	return is_refusal(result) ? 0 : result; /* a discard is a hint */
}

static int file_zero(struct store *store, uint64_t offset, uint64_t bytes, bool may_unmap)
{
	int result = -EOPNOTSUPP;
	if (may_unmap)
		result = allocate(store, FALLOC_FL_PUNCH_HOLE, offset, bytes);
	if (is_refusal(result))
		result = allocate(store, FALLOC_FL_ZERO_RANGE, offset, bytes);
	if (is_refusal(result))
		result = store_write_zeroes(store, offset, bytes);
	return result;
}

static void file_close(struct store *store)
{
	close(fd_of(store)); /* takes the lock along */
	free(store);
}

static const struct store_ops file_ops = {file_read,    file_write, file_flush,
					  file_discard, file_zero,  file_close};

struct store *store_file_open(const char *spec, bool read_only, char *error, size_t error_size)
{
	if (!kind_is_good(spec, error, error_size))
		return NULL;
	int fd = open(spec, (read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC);
	if (fd < 0) {
		open_failed(spec, read_only, error, error_size);
		return NULL;
	}
	struct store_file *file = calloc(1, sizeof(*file));
	if (!file) {
		close(fd);
		return store_fail(error, error_size, spec, "out of memory");
	}
	file->store.ops = &file_ops;
	file->store.info.kind = "file";
	file->store.info.read_only = read_only;
	file->fd = fd;
	if (examine(spec, file, error, error_size))
		return &file->store;
	file_close(&file->store);
	return NULL;
}
