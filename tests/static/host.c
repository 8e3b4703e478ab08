/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * A program that loads plugins for everybody to see, each after the other, and
 * each twice.  Arguments: plugin, and the file that its calls must go to.
 */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int
check(const char *plugin, const char *want)
{
	union {
		void *address;
		const char *(*function)(void);
	} at;
	void *handle = dlopen(plugin, RTLD_NOW | RTLD_GLOBAL);
	const char *file;
	char *is, *should;
	int same;

	if (handle == NULL) {
		printf("%s\n", dlerror());
		return 1;
	}
	at.address = dlsym(handle, "plugin_version_of");
	file = at.address != NULL ? at.function() : NULL;
	is = file != NULL ? realpath(file, NULL) : NULL;
	should = realpath(want, NULL);
	same = is != NULL && should != NULL && strcmp(is, should) == 0;
	printf("%s calls %s\n", plugin, is != NULL ? is : "nobody");
	free(is);
	free(should);
	dlclose(handle);
	return same ? 0 : 1;
}

int
main(int argc, char **argv)
{
	int round, i, rc = 0;

	for (round = 0; round < 2; round++) {
		for (i = 1; i + 1 < argc; i += 2)
			rc |= check(argv[i], argv[i + 1]);
	}
	return rc;
}
