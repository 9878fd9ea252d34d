/* DIR/report.html: the results of a sweep as one page for a browser, which needs nothing else.
 *
 * The page is tools/report-ui, bundled and part of the program (report_page.S); here its data are made: a JSON document between
 * the page's two halves. It holds what was worked out over seeds; what depends on the reader's choices, the page works out.
 *
 *   {"title", "design", "version", "confidence": 95, "seeds": [1, 2],
 *    "axes": [{"name", "load": of the job, not of the card, "values": [text]}],
 *    "metrics": [{"name", "label", "unit", "better": "more" | "less" | null, "role", "help"}],
 *    "points": [{"number", "at": [index of the value, an axis each], "mean": [a metric each], "half": [same],
 *                "meets": true | false | null, "command", "runs": [{"seed", "tail", "error"}]}],
 *    "baseline": index | null, "recommendation": {...}}
 *
 * A run's command is its point's "command" and its own "tail". "role" is throughput, latency, cost, utilisation, stage or
 * other. Missing numbers are null; "error" is there if the run failed. */
#ifndef KICKSTAND_HOST_SIM_SWEEP_REPORT_HTML_H
#define KICKSTAND_HOST_SIM_SWEEP_REPORT_HTML_H

#include "host-sim/sweep/recommend.h"

/* Reads the results in `folder`, writes its report.html, and prints the recommendation to `out` (NULL: not). -1 with a
 * one-line reason; 1 with one if the sweep has too many points for a report. */
MUST_USE int report_html_make(const char *folder, FILE *out, char *error, size_t error_size);

/* The page's data; NULL if out of memory. */
json_t *report_html_data(const struct study *study, const struct recommendation *r);

/* Writes a page with such data. Nothing in them can end the element they stand in. */
void report_html_put(const json_t *data, FILE *out);

#endif
