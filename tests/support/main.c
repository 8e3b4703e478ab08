/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>

#include "suite.h"

__attribute__((weak)) const char *
skip_reason(void)
{
	return NULL;
}

int
main(void)
{
	const char *reason = skip_reason();
	SRunner *runner;
	int failed;

	if (reason != NULL) {
		printf("skipped: %s\n", reason);
		return 77;
	}
	runner = srunner_create(make_suite());
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
