/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * Rows that belong together, as a picture: both axes are logarithmic, and each
 * side that was measured is a line.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "row.h"

#define WIDTH 640
#define HEIGHT 400
#define LEFT 70
#define RIGHT 20
#define TOP 40
#define BOTTOM 50
#define MAX_FIGURES 16

static const struct {
	const char *name, *colour;
} sides[SIDES] = {
	[OURS] = { "libvmmem", "#0b6e4f" },
	[INLINE] = { "libvmmem, inline", "#6bbf59" },
	[CRATE_0_18] = { "vm-memory 0.18.0", "#c1292e" },
	[CRATE_0_16] = { "vm-memory 0.16.2", "#e8871e" },
	[FLOOR] = { "floor", "#808080" },
};

struct axis {
	double low, high; /* powers of ten, or of two */
	double base;
};

static double
scaled(const struct axis *axis, double value)
{
	return (log(value) / log(axis->base) - axis->low) /
	       (axis->high - axis->low);
}

static double
x_of(const struct axis *axis, double value)
{
	return LEFT + scaled(axis, value) * (WIDTH - LEFT - RIGHT);
}

static double
y_of(const struct axis *axis, double value)
{
	return HEIGHT - BOTTOM - scaled(axis, value) * (HEIGHT - TOP - BOTTOM);
}

static void
include(struct axis *axis, double value)
{
	double place = log(value) / log(axis->base);

	if (floor(place) < axis->low)
		axis->low = floor(place);
	if (ceil(place) > axis->high)
		axis->high = ceil(place);
}

static bool
is_in(const struct bench_result *result, const char *figure)
{
	return result->row.figure != NULL &&
	       strcmp(result->row.figure, figure) == 0;
}

/* print_time() writes a time as it is read best. */
static void
print_time(FILE *file, double ns)
{
	if (ns < 1e3)
		fprintf(file, "%g ns", ns);
	else if (ns < 1e6)
		fprintf(file, "%g us", ns / 1e3);
	else
		fprintf(file, "%g ms", ns / 1e6);
}

static void
draw_axes(FILE *file, const struct axis *x, const struct axis *y,
	  const struct bench_result *first)
{
	double place, at;
	double step = x->high - x->low > 10 ? 2 : 1;

	for (place = y->low; place <= y->high; place++) {
		at = y_of(y, pow(y->base, place));
		fprintf(file,
			"<line x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\" "
			"stroke=\"#ddd\"/>\n<text x=\"%d\" y=\"%.1f\" "
			"text-anchor=\"end\">",
			LEFT, WIDTH - RIGHT, at, at, LEFT - 6, at + 4);
		print_time(file, pow(y->base, place));
		fprintf(file, "</text>\n");
	}
	for (place = x->low; place <= x->high; place += step) {
		at = x_of(x, pow(x->base, place));
		fprintf(file,
			"<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">"
			"%.0f</text>\n",
			at, HEIGHT - BOTTOM + 18, pow(x->base, place));
	}
	fprintf(file,
		"<text x=\"%d\" y=\"%d\" text-anchor=\"middle\">%s</text>\n"
		"<text x=\"%d\" y=\"20\" font-weight=\"bold\">%s</text>\n",
		(LEFT + WIDTH - RIGHT) / 2, HEIGHT - 12, first->row.figure_x,
		LEFT, first->row.figure);
}

static void
draw_side(FILE *file, const struct bench_result *results, size_t count,
	  const struct bench_result *first, enum bench_side side,
	  const struct axis *x, const struct axis *y, unsigned int line)
{
	size_t i;

	fprintf(file,
		"<polyline fill=\"none\" stroke=\"%s\" stroke-width=\"2\" "
		"points=\"",
		sides[side].colour);
	for (i = 0; i < count; i++)
		if (is_in(&results[i], first->row.figure) &&
		    results[i].has[side])
			fprintf(file, "%.1f,%.1f ",
				x_of(x, results[i].row.figure_at),
				y_of(y, results[i].ns[side]));
	fprintf(file,
		"\"/>\n<text x=\"%d\" y=\"%u\" fill=\"%s\">%s</text>\n",
		LEFT + 12, TOP + 14 + 16 * line, sides[side].colour,
		sides[side].name);
}

/* draw() writes the figure whose first row is 'first'. */
static int
draw(const char *directory, const struct bench_result *results, size_t count,
     const struct bench_result *first)
{
	struct axis x = { INFINITY, -INFINITY, first->row.figure_base };
	struct axis y = { INFINITY, -INFINITY, 10 };
	bool has[SIDES] = { false };
	enum bench_side side;
	unsigned int line = 0;
	char *path, *at;
	FILE *file;
	size_t i;

	for (i = 0; i < count; i++) {
		if (!is_in(&results[i], first->row.figure))
			continue;
		include(&x, results[i].row.figure_at);
		for (side = OURS; side < SIDES; side++) {
			if (!results[i].has[side])
				continue;
			has[side] = true;
			include(&y, results[i].ns[side]);
		}
	}
	if (x.low == x.high)
		return 0; /* one row is no line */
	bench_must(asprintf(&path, "%s/%s.svg", directory,
			    first->row.figure) < 0 ? -1 : 0, "memory");
	for (at = path + strlen(directory) + 1; *at != '\0'; at++)
		if (*at == ' ' || *at == ',')
			*at = '-';
	file = fopen(path, "we");
	free(path);
	if (file == NULL)
		return -errno;
	fprintf(file,
		"<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" "
		"height=\"%d\" font-family=\"sans-serif\" "
		"font-size=\"12\">\n"
		"<!-- SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 "
		"-->\n<rect width=\"%d\" height=\"%d\" fill=\"white\"/>\n",
		WIDTH, HEIGHT, WIDTH, HEIGHT);
	draw_axes(file, &x, &y, first);
	for (side = OURS; side < SIDES; side++)
		if (has[side])
			draw_side(file, results, count, first, side, &x, &y,
				  line++);
	fprintf(file, "</svg>\n");
	return fclose(file) != 0 ? -errno : 0;
}

int
bench_write_plots(const char *directory)
{
	const struct bench_result *results, *drawn[MAX_FIGURES];
	size_t count = bench_results(&results), figures = 0, i, j;
	int rc = 0;

	for (i = 0; i < count && rc == 0; i++) {
		if (results[i].row.figure == NULL)
			continue;
		for (j = 0; j < figures; j++)
			if (is_in(&results[i], drawn[j]->row.figure))
				break;
		if (j < figures || figures == MAX_FIGURES)
			continue;
		drawn[figures++] = &results[i];
		rc = draw(directory, results, count, &results[i]);
	}
	return rc;
}
