/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
#include <errno.h>

#include "guest.h"
#include "layout.h"
#include "memory.h"

#define HLT 0xf4

/* What is noted as dirty, for migration: a page of KVM's log. */
#define TRACKED_PAGE 4096

_Static_assert(sizeof(guest) == GUEST_LEN, "guest.h is not of this layout");

/* A memfd, so that a device in another process could be given it too. */
static int
make_low_ram(struct vmmem_region **ret_region)
{
	struct vmmem_region_builder *builder = vmmem_region_builder_new();
	int rc;

	if (builder == NULL)
		return -ENOMEM;
	vmmem_region_builder_set_range(builder, LOW_RAM, LOW_RAM_LEN);
	vmmem_region_builder_set_memfd(builder);
	vmmem_region_builder_set_tracking(builder, TRACKED_PAGE);
	vmmem_region_builder_set_name(builder, "low-ram");
	rc = vmmem_region_builder_build(builder, ret_region);
	vmmem_region_builder_free(builder);
	return rc;
}

/*
 * The ROM's memory can be written: that is how the program gets in.  It is
 * never part of the guest's map, which only has read-only aliases of it.
 */
static int
make_rom(struct vmmem_region **ret_region)
{
	struct vmmem_region_builder *builder = vmmem_region_builder_new();
	struct vmmem_region *rom = NULL;
	struct vmmem_collection *loader = NULL;
	int rc;

	if (builder == NULL)
		return -ENOMEM;
	vmmem_region_builder_set_range(builder, ROM_TOP, ROM_LEN);
	vmmem_region_builder_set_name(builder, "rom");
	rc = vmmem_region_builder_build(builder, &rom);
	vmmem_region_builder_free(builder);

	if (rc == 0)
		rc = vmmem_collection_new(&rom, 1, &loader);
	if (rc == 0)
		rc = vmmem_collection_fill(loader, ROM_TOP, ROM_LEN, HLT, NULL);
	if (rc == 0)
		rc = vmmem_collection_write(loader,
					    ROM_TOP + ROM_LEN - GUEST_LEN,
					    guest, sizeof(guest), NULL);
	vmmem_collection_unref(loader);

	if (rc == 0)
		*ret_region = rom;
	else
		vmmem_region_unref(rom);
	return rc;
}

static int
make_rom_alias(struct vmmem_region *rom, uint64_t gpa, const char *name,
	       struct vmmem_region **ret_region)
{
	struct vmmem_region_builder *builder = vmmem_region_builder_new();
	int rc;

	if (builder == NULL)
		return -ENOMEM;
	vmmem_region_builder_set_range(builder, gpa, ROM_LEN);
	vmmem_region_builder_set_alias(builder, rom, 0);
	vmmem_region_builder_set_protection(builder, VMMEM_PROT_READ);
	vmmem_region_builder_set_name(builder, name);
	rc = vmmem_region_builder_build(builder, ret_region);
	vmmem_region_builder_free(builder);
	return rc;
}

int
memory_at_power_on(struct vmmem_space **ret_space)
{
	struct vmmem_region *regions[3] = { NULL };
	struct vmmem_region *rom = NULL;
	struct vmmem_collection *map = NULL;
	int rc;

	rc = make_low_ram(&regions[0]);
	if (rc == 0)
		rc = make_rom(&rom);
	if (rc == 0)
		rc = make_rom_alias(rom, ROM_LOW, "rom-low", &regions[1]);
	if (rc == 0)
		rc = make_rom_alias(rom, ROM_TOP, "rom-top", &regions[2]);
	if (rc == 0)
		rc = vmmem_collection_new(regions, 3, &map);
	if (rc == 0)
		rc = vmmem_space_new(map, NULL, ret_space);

	/* Each has references of its own to what it is made of. */
	vmmem_collection_unref(map);
	vmmem_region_unref(rom);
	for (size_t i = 0; i < 3; i++)
		vmmem_region_unref(regions[i]);
	return rc;
}

int
memory_insert_hotplug(struct vmmem_space *space)
{
	struct vmmem_region_builder *builder = vmmem_region_builder_new();
	struct vmmem_region *region = NULL;
	int rc;

	if (builder == NULL)
		return -ENOMEM;
	vmmem_region_builder_set_range(builder, HOTPLUG, HOTPLUG_LEN);
	vmmem_region_builder_set_tracking(builder, TRACKED_PAGE);
	vmmem_region_builder_set_name(builder, "hotplug");
	rc = vmmem_region_builder_build(builder, &region);
	vmmem_region_builder_free(builder);

	if (rc == 0)
		rc = vmmem_space_insert(space, region);
	vmmem_region_unref(region);
	return rc;
}

int
memory_remove_hotplug(struct vmmem_space *space,
		      struct vmmem_region **ret_region)
{
	return vmmem_space_remove(space, HOTPLUG, HOTPLUG_LEN, ret_region);
}
