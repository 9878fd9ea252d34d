/* A directory for one test program, under build/. */
#ifndef KICKSTAND_TESTS_MEDIA_DIR_H
#define KICKSTAND_TESTS_MEDIA_DIR_H

#include "tests/check.h"

#include <ftw.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

struct test_dir {
	char path[PATH_MAX / 2];
};

static inline int dir_setup(void **state)
{
	struct test_dir *dir = (struct test_dir *)calloc(1, sizeof(*dir));
	char here[PATH_MAX / 4];
	mkdir("build", 0777);
	assert_non_null(getcwd(here, sizeof(here)));
	snprintf(dir->path, sizeof(dir->path), "%s/build/media-test-XXXXXX", here);
	assert_non_null(mkdtemp(dir->path));
	*state = dir;
	return 0;
}

static inline int dir_remove(const char *path, const struct stat *status, int type, struct FTW *where)
{
	(void)status;
	(void)type;
	(void)where;
	return remove(path);
}

static inline int dir_teardown(void **state)
{
	struct test_dir *dir = (struct test_dir *)*state;
	nftw(dir->path, dir_remove, 16, FTW_DEPTH | FTW_PHYS);
	free(dir);
	return 0;
}

/* PATH of a file in the directory, in a buffer of the caller's. */
static inline const char *dir_file(void **state, const char *name, char path[PATH_MAX])
{
	snprintf(path, PATH_MAX, "%s/%s", ((const struct test_dir *)*state)->path, name);
	return path;
}

#endif
