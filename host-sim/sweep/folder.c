#include "host-sim/sweep/folder.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static int say(const char *path, const char *what, char *error, size_t error_size)
{
	snprintf(error, error_size, "%s: %s: %s", path, what, strerror(errno));
	return -1;
}

int folder_make(const char *folder, char *error, size_t error_size)
{
	static const char *const below[] = {"", "/points", "/jobs", "/ninja"};
	char path[FOLDER_PATH_MAX];
	if (strlen(folder) + 100 > sizeof(path)) {
		snprintf(error, error_size, "--out: the path is too long; give a shorter one");
		return -1;
	}
	for (size_t i = 0; i < ARRAY_SIZE(below); i++) {
		snprintf(path, sizeof(path), "%s%s", folder, below[i]);
		if (mkdir(path, 0777) != 0 && errno != EEXIST)
			return say(path, "cannot be made", error, error_size);
	}
	return 0;
}

int folder_lock(const char *folder, char *error, size_t error_size)
{
	char path[FOLDER_PATH_MAX];
	snprintf(path, sizeof(path), "%s/.lock", folder);
	/* Inherited: ninja may outlive a sweep that was killed, and still write. */
	int fd = open(path, O_RDWR | O_CREAT, 0666); /* NOLINT(android-cloexec-open) */
	if (fd < 0)
		return say(path, "cannot be made", error, error_size);
	if (flock(fd, LOCK_EX | LOCK_NB) == 0)
		return fd;
	snprintf(error, error_size, "%s: another sweep is at work there; wait for it or give another --out",
		 folder);
	close(fd);
	return -1;
}

void new_file_begin(struct new_file *file, const char *folder, const char *name)
{
	snprintf(file->path, sizeof(file->path), "%s/%s", folder, name);
	snprintf(file->part, sizeof(file->part), "%s.part", file->path);
	file->out = fopen(file->part, "w");
}

int new_file_end(struct new_file *file, char *error, size_t error_size)
{
	if (!file->out)
		return say(file->part, "cannot be made", error, error_size);
	bool failed = ferror(file->out) != 0;
	failed = fclose(file->out) != 0 || failed;
	file->out = NULL;
	if (!failed && rename(file->part, file->path) == 0)
		return 0;
	say(file->path, "cannot be written; is the disk full?", error, error_size);
	unlink(file->part);
	return -1;
}

void new_file_drop(struct new_file *file)
{
	if (!file->out)
		return;
	fclose(file->out);
	unlink(file->part);
	file->out = NULL;
}

static bool has_text(const char *path, const char *text)
{
	size_t length = strlen(text);
	char *there = malloc(length + 1);
	FILE *in = there ? fopen(path, "r") : NULL;
	/* One more than wanted, to see a longer file. */
	bool same = in && fread(there, 1, length + 1, in) == length && memcmp(there, text, length) == 0;
	if (in)
		fclose(in);
	free(there);
	return same;
}

int folder_put(const char *folder, const char *name, const char *text, char *error, size_t error_size)
{
	struct new_file file = {0};
	char path[FOLDER_PATH_MAX];
	snprintf(path, sizeof(path), "%s/%s", folder, name);
	if (has_text(path, text))
		return 0;
	new_file_begin(&file, folder, name);
	if (file.out)
		fputs(text, file.out);
	return new_file_end(&file, error, error_size);
}
