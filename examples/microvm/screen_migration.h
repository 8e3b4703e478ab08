/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* Pictures of a migration, in text. */
#ifndef SCREEN_MIGRATION_H
#define SCREEN_MIGRATION_H

#include "migrate.h"

/* Says how to read what screen_round() draws. */
void screen_round_head(void);

/* One round in one line, with a picture of what was sent. */
void screen_round(const struct migration *migration, const char *note);

/* How often each page was sent again, as a picture. */
void screen_heat(const struct migration *migration);

#endif
