# SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0
# check_model.c is the sequence of operations; what each does is in model/.

target_sources(check_model PRIVATE
	model/atomics.c
	model/custom.c
	model/harvests.c
	model/logs.c
	model/maps.c
	model/queries.c
	model/ranges.c
	model/regions.c
	model/slice_access.c
	model/slice_values.c
	model/slices.c
	model/transfer.c
	model/typed.c
	model/world.c)
set_tests_properties(model PROPERTIES TIMEOUT 1800)
